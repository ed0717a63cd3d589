"""Where Google tells that somebody saved a pass or deleted it. The signature is the credential."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from geoengine.service.context import Context
from geoengine.service.http.bodies import body_of
from geoengine.service.http.problems import Problem
from geoengine.service.wallet.hearing import hear
from geoengine.service.wallet.roots import URL, Roots
from geoengine.service.wallet.signed import Event, Refusal, opened
from geoengine.service.wallet.telling import GOOGLE_PATH

KEYS_VARIABLE: Final = "GEOENGINE_GOOGLE_WALLET_KEYS_URL"


async def take_google(context: Context, roots: Roots, request: web.Request) -> web.Response:
    """Take one message. Those about classes and objects that are not ours are taken, and dropped:
    Google would say them again.
    """
    spec = context.book.engine.spec.wallet
    if spec is None or spec.google is None:
        raise Problem("not_found", "The catalogue has no engine.wallet.google.")
    body = await body_of(request, context.settings.body_timeout_s)
    issuer = spec.google.issuer
    event = await _opened(body, issuer, roots, context.clock())
    serial = event.objectId.removeprefix(f"{issuer}.")
    if event.classId == f"{issuer}.{spec.google.class_id}" and serial != event.objectId:
        await hear(context, serial, event)
    return web.Response()


async def _opened(body: bytes, issuer: str, roots: Roots, now_ms: int) -> Event:
    keys = await roots.known(now_ms)
    try:
        return opened(body, issuer, keys, now_ms)
    except Refusal as refusal:
        if not refusal.is_unknown:
            raise _problem_of(refusal) from None
    keys = await roots.anew(now_ms)
    if not keys:
        raise Problem("again", "Google's keys cannot be had just now.")
    try:
        return opened(body, issuer, keys, now_ms)
    except Refusal as refusal:
        raise _problem_of(refusal) from None


def _problem_of(refusal: Refusal) -> Problem:
    return Problem("forbidden", f"Not Google's word for us: {refusal}.")


def add_google_passes(app: web.Application, context: Context) -> None:
    """The path that stands in the class; the keys are fetched when something arrives."""
    roots = Roots(context.environ.get(KEYS_VARIABLE) or URL)

    async def handle(request: web.Request) -> web.Response:
        return await take_google(context, roots, request)

    async def close(_app: web.Application) -> None:
        await roots.close()

    app.router.add_post(GOOGLE_PATH, handle)
    app.on_cleanup.append(close)
