"""Everywhere that people say STOP: answers to an SMS, the link in an e-mail; and the list of them.

Each is effective before it is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from geoengine.core.calendar import rfc3339
from geoengine.core.consent import optout
from geoengine.core.consent.optout import Meaning
from geoengine.core.record import Json
from geoengine.levers.sms import brevo
from geoengine.service.consent.suppression import stop_of
from geoengine.service.consent.twilio import TOKEN_VARIABLE, is_signed, params_of
from geoengine.service.context import Answer, Call, Context
from geoengine.service.http.bodies import body_of
from geoengine.service.http.problems import Problem
from geoengine.service.wire.consents import (
    OptedOut,
    SmsBody,
    StopOut,
    StopsOut,
    StopsQuery,
    SuppressBody,
    SuppressedOut,
)

TWILIO_PATH: Final = "/in/sms/twilio"
BREVO_PATH: Final = "/in/sms/brevo"
HTML: Final = "text/html; charset=utf-8"
XML: Final = "text/xml; charset=utf-8"
# An empty answer: Twilio confirms a STOP by itself, and a second message would cost one.
_TWIML: Final = Answer(b'<?xml version="1.0" encoding="UTF-8"?><Response/>', content_type=XML)
_TAKEN: Final = Answer(b"{}")

_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{title}</title>
<body style="font:1.1em sans-serif;max-width:30em;margin:3em auto;padding:0 1em">
{text}</body></html>"""
_ASKED: Final = _PAGE.format(
    title="Unsubscribe · Se désabonner",
    text='<form method="post"><p>No more messages to this address?<br>'
    "Ne plus recevoir de messages à cette adresse ?</p>"
    '<button style="font:inherit;padding:.6em 1.2em">Unsubscribe · Se désabonner</button></form>',
)
_DONE: Final = _PAGE.format(
    title="Done · C’est fait",
    text="<p>Done: you will not hear from us at this address any more.<br>"
    "C’est fait : vous ne recevrez plus rien à cette adresse.</p>",
)


# --- answers to an SMS --------------------------------------------------------------------------


async def post_inbound(context: Context, call: Call) -> OptedOut:
    """An answer to an SMS, handed on by whoever receives it: STOP and START are acted upon."""
    body = call.read(SmsBody)
    meaning, withdrawn = await _heard(context, body.sender, body.text, body.source)
    return OptedOut(meaning, withdrawn)


async def take_twilio(context: Context, request: web.Request) -> Answer:
    """An answer to an SMS, as Twilio posts it; raises `Problem` where it is not Twilio's."""
    spec = context.book.engine.spec
    is_own = spec.sms is not None and spec.sms.provider == "twilio" and spec.sms.key is not None
    variable = spec.sms.key.env if is_own else TOKEN_VARIABLE  # type: ignore[union-attr]
    token, public_url = context.environ.get(variable, "").strip(), spec.public_url
    if not token or public_url is None:
        raise Problem("not_found", f"{variable} and engine.public_url are needed.")
    body = await body_of(request, context.settings.body_timeout_s)
    shown = request.headers.get("X-Twilio-Signature", "")
    url = public_url.rstrip("/") + request.raw_path
    if not is_signed(token, url, body, shown):
        raise Problem("forbidden", "X-Twilio-Signature is not that of engine.public_url.")
    said = dict(params_of(body))
    text = said.get("OptOutType") or said.get("Body", "")  # Advanced Opt-Out has judged already
    if said.get("From"):
        await _heard(context, said["From"], text, "sms")
    return _TWIML


async def take_brevo(context: Context, request: web.Request) -> Answer:
    """What Brevo tells of a message: that somebody opted out, or what they answered. Takes a server
    key, which its webhooks can be given as a bearer token.
    """
    caller = context.keys.caller(request.headers.get("Authorization"))
    if caller.kind != "server":
        raise Problem("forbidden", "This takes a key of kind server.")
    try:
        told = msgspec.json.decode(
            await body_of(request, context.settings.body_timeout_s), type=_Brevo
        )
    except (ValueError, RecursionError):
        raise Problem("malformed", "Not what Brevo posts: expected to and msg_status.") from None
    status = told.msg_status.casefold()
    if status.startswith(brevo.STOPPED):
        await _heard(context, told.to, "STOP", "sms")
    elif isinstance(told.reply, str):
        await _heard(context, told.to, told.reply, "sms")
    return _TAKEN


class _Brevo(msgspec.Struct):
    """The part of Brevo's message that is about opting out."""

    to: str  # whom we wrote to, and who answered
    msg_status: str = ""
    reply: Any = ""  # a text, where it is an answer


async def _heard(context: Context, sender: str, text: str, source: str) -> tuple[Meaning, int]:
    """Act upon an answer; what it means, and how many consents ended with it."""
    if len(optout.normalised("sms", sender)) < optout.NUMBER_CHARS:
        return "", 0  # a name, or a short code: nobody whom we write to
    meaning = optout.meaning(text, context.book.engine.spec.consent.stop_words)
    withdrawn: list[str] = []
    if meaning == "stop":
        told: Json = {"source": f"{source.partition(':')[0]}:stop"}
        withdrawn = await context.suppression.stop("sms", sender, told)
    elif meaning == "start":
        await context.suppression.start("sms", sender)
    return meaning, len(withdrawn)


# --- the link in an e-mail ----------------------------------------------------------------------


async def get_unsubscribe(context: Context, call: Call) -> Answer:
    """A page with one button: looking at a link opts nobody out, scanners look at all of them."""
    await _opened(context, call)
    return Answer(_ASKED.encode(), content_type=HTML)


async def post_unsubscribe(context: Context, call: Call) -> Answer:
    """One click (RFC 8058): nothing more to the address that the link was sent to."""
    lever, mark = await _opened(context, call)
    await context.suppression.stop_mark(lever, mark, {"source": f"{lever}:one_click"})
    return Answer(_DONE.encode(), content_type=HTML)


async def _opened(context: Context, call: Call) -> tuple[str, str]:
    opened = (await context.suppression.marks()).opened(call.path["token"])
    if opened is None:
        raise Problem("not_found", "This link is not ours, or not whole.")
    return opened


# --- the list -----------------------------------------------------------------------------------


async def get_suppressions(context: Context, call: Call) -> StopsOut:
    """Who said STOP: hashes, since when and where from."""
    query = call.ask(StopsQuery)
    start = query.start
    page = await context.state.cards_from("stop/", start, query.limit)
    stops = [stop_of(card) for card in page.cards]
    shown = [StopOut(one.lever, one.mark, rfc3339(one.at_ms), one.source) for one in stops]
    return StopsOut(shown, page.next)


async def post_suppressions(context: Context, call: Call) -> SuppressedOut:
    """Addresses to which nothing more is sent, from now on."""
    body = _addressed(call)
    told = {"source": f"suppressed:{body.source}", "by": call.caller.name}
    withdrawn = [await context.suppression.stop(body.lever, a, told) for a in body.addresses]
    return SuppressedOut(len(body.addresses), sum(map(len, withdrawn)))


async def delete_suppressions(context: Context, call: Call) -> SuppressedOut:
    """Take addresses off the list; no consent comes back with it."""
    body = _addressed(call)
    freed = [await context.suppression.start(body.lever, a) for a in body.addresses]
    return SuppressedOut(sum(freed), 0)


def _addressed(call: Call) -> SuppressBody:
    """The addresses told, if all are: what is none would be on the list and stop nothing."""
    body = call.read(SuppressBody)
    for number, address in enumerate(body.addresses):
        if optout.lever_of(address) != body.lever:
            expected = {"sms": "a number as +33612345678", "email": "an e-mail address"}[body.lever]
            raise Problem("malformed", f"expected {expected} - at `$.addresses[{number}]`")
    return body


# --- paths of others' contracts -----------------------------------------------------------------


def add_optout(app: web.Application, context: Context) -> None:
    """The paths that providers post to."""
    _add(app, context, TWILIO_PATH, take_twilio)
    _add(app, context, BREVO_PATH, take_brevo)


def _add(
    app: web.Application,
    context: Context,
    path: str,
    handler: Callable[[Context, web.Request], Awaitable[Answer]],
) -> None:
    async def handle(request: web.Request) -> web.Response:
        answer = await handler(context, request)
        return web.Response(body=answer.body, headers={"Content-Type": answer.content_type})

    app.router.add_route("POST", path, handle)
