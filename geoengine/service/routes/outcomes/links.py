"""What people do with messages: short links they follow, notifications they open."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec.structs import replace

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Fact
from geoengine.core.saying.links import Link
from geoengine.service import links
from geoengine.service.context import Answer, Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.links import Sent
from geoengine.service.routes.persons.naming import name_in
from geoengine.service.routes.table import APPS, Route
from geoengine.service.wire.links import OpenedBody, OpenedOut
from geoengine.state import amending
from geoengine.state.base import Commit

DECISIONS_SEEN: Final = 1_000  # of a person, the latest; what was opened is among the last few
# Not kept by anybody in between, and not told to where it leads.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
_TEXT: Final = "text/plain; charset=utf-8"


async def get_link(context: Context, call: Call) -> Answer:
    """Follow a short link of a message; the click is counted."""
    return await _followed(context, call, is_click=True)


async def head_link(context: Context, call: Call) -> Answer:
    """Where a short link leads; looking counts as no click."""
    return await _followed(context, call, is_click=False)


async def _followed(context: Context, call: Call, *, is_click: bool) -> Answer:
    link = links.opened(call.path["token"], context.book.coupon_key)
    if link is None:
        raise Problem("not_found", "This link is not ours, or not whole.")
    agent = call.headers.get("User-Agent", "")
    sent = await _sent(context, link)
    platform = links.platform_of(agent)
    where = await asyncio.to_thread(links.target, link, sent, context.book, platform)
    if not where:
        raise Problem("not_found", "What this link led to is not there any more.")
    purpose = call.headers.get("Sec-Purpose", "") + call.headers.get("Purpose", "")
    if is_click and sent is not None and links.is_person(agent, purpose):
        now_ms = context.clock()
        fact = links.moment_of("clicked", link.trigger_id, sent, now_ms, link.kind)
        await _count(context, fact)
    return Answer(b"", 302, _TEXT, {"Location": where, **_HEADERS})


async def _sent(context: Context, link: Link) -> Sent | None:
    """Whose the link is; of links that lead on without it not waited for a state that is down."""
    try:
        return await links.sent_with(context.state, link.trigger_id)
    except StateUnavailable:
        if link.kind == "basket":
            raise
        return None


async def _count(context: Context, fact: Fact) -> bool:
    """Keep it, of somebody who may be counted; a state that is down holds nobody up."""
    state = context.state
    try:
        # Whom it was sent to may have turned out to be somebody who was known already.
        (person_id,) = await state.owners([fact.person_id])
        record = (await state.load([person_id])).get(person_id)
        if not links.may_count(record, context.book):
            return False
        fact = replace(fact, person_id=person_id)
        await state.commit(Commit(f"fact:{fact.id}", facts=(fact,), now_ms=fact.at_ms))
    except (StateUnavailable, StateConflict):
        return False
    return True


async def post_opened(context: Context, call: Call) -> OpenedOut:
    """Say that the person of this device opened a message."""
    trigger_id, body = name_in(call, "trigger_id"), call.read(OpenedBody)
    (person_id,) = await context.state.owners([body.device_id])
    sent = await _heard(context, person_id, trigger_id)
    if sent is None:
        raise Problem("not_found", "No such message to this device's person.")
    fact = links.moment_of("opened", trigger_id, sent, context.clock())
    return OpenedOut(trigger_id, await _count(context, fact))


async def _heard(context: Context, person_id: str, trigger_id: str) -> Sent | None:
    """What is known of a trigger, if it was this person's."""
    told = await amending.decisions(context.state, person_id, DECISIONS_SEEN)
    fired = (one for one in told if one.trigger_id == trigger_id and one.outcome == "fired")
    decision = next(fired, None)
    if decision is None:
        return None
    facts = await amending.facts(context.state, person_id, DECISIONS_SEEN)
    left = (one for one in facts if one.trigger_id == trigger_id and one.kind == "sent")
    fact = next(left, None)
    variant = "" if fact is None else str(fact.data.get("variant", ""))
    return Sent(
        person_id,
        decision.campaign_id,
        decision.store_id,
        decision.lever,
        variant,
        decision.visit_id,
    )


_ANYBODY: frozenset[str] = frozenset()
_MISSING: Final = frozenset({404, 503})
ROUTES_LINKS: tuple[Route, ...] = (
    Route("GET", "/r/{token}", get_link, _ANYBODY, is_redirect=True, problems=_MISSING),
    Route("HEAD", "/r/{token}", head_link, _ANYBODY, is_redirect=True, problems=_MISSING),
    Route(
        "POST", "/v1/triggers/{trigger_id}/opened", post_opened, APPS,
        takes=OpenedBody, gives=OpenedOut, problems=_MISSING,
    ),
)  # fmt: skip
