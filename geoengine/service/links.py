"""Short links that were sent: whose each was, so that a click can be counted; and where they lead.

Where a link leads, its token and the catalogue tell; to whom it was sent, a card does, which is
written before the message leaves, goes with its person and ends by itself. A link whose card is
gone leads on, and is counted no more.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from binascii import Error as BinasciiError
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms
from geoengine.core.errors import StateConflict
from geoengine.core.ids import digest
from geoengine.core.judging.standing import basket_url
from geoengine.core.model import Store
from geoengine.core.record import Fact, Record, Send
from geoengine.core.saying.actions import ANDROID, IOS, WEB, url_of
from geoengine.core.saying.links import (
    MARK_BYTES,
    SEAL_BYTES,
    TOKEN_BYTES,
    Link,
    mark_of,
    said_in,
    seal,
)
from geoengine.core.units import MINUTE_MS
from geoengine.core.visiting.attendance import PURPOSE
from geoengine.service.sending.preparing import Prepared
from geoengine.state.base import Card, State

# What looks at links for others: in the words of their own documents, in lower case. A message in a
# chat is looked at by its app before anybody taps it.
PREVIEWS: Final = (
    "facebookexternalhit", "facebot", "whatsapp", "twitterbot", "telegrambot", "slackbot",
    "slack-imgproxy", "linkedinbot", "discordbot", "skypeuripreview", "pinterest", "applebot",
    "googlebot", "google-inspectiontool", "googlemessages", "google-safety", "bingbot",
    "bingpreview", "yandexbot", "duckduckbot", "redditbot", "embedly", "iframely", "viber",
    "snapchat", "mattermost", "proofpoint", "barracuda", "mimecast", "safelinks", "urldefense",
    "headlesschrome", "curl/", "wget/", "python-", "go-http-client",
)  # fmt: skip


class Sent(Struct, array_like=True):
    """What the card of a link says."""

    person_id: str
    campaign_id: str
    store_id: str
    lever: str
    variant: str = ""
    visit_id: str = ""
    kind: str = ""  # what the button does
    url: str = ""  # where it leads, of links that the catalogue does not know


def card_name(trigger_id: str) -> str:
    """The name of the card of a trigger's links."""
    return f"link/{trigger_id}"


class Linker:
    """Notes, before a message with short links leaves, whose they are."""

    def __init__(self, state: State, book_of: Callable[[], Book]) -> None:
        self._state = state
        self._book_of = book_of

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Write the card, once a trigger."""
        if send.kind == "trigger" and self._is_tracked(send.campaign_id):
            body = msgspec.msgpack.encode(_sent(send, record, now_ms))
            until_ms = send.created_ms + duration_ms(self._book_of().engine.spec.retention.links)
            card = Card(card_name(send.trigger_id), body, owner=send.person_id, until_ms=until_ms)
            with suppress(StateConflict):  # an attempt before this one wrote it
                await self._state.put_card(card, now_ms)
        return Prepared(send)

    def _is_tracked(self, campaign_id: str) -> bool:
        plan = self._book_of().plan_of.get(campaign_id)
        return plan is not None and plan.spec.track_clicks


def _sent(send: Send, record: Record, now_ms: int) -> Sent:
    said = send.event.get("data") or {}
    return Sent(
        send.person_id,
        send.campaign_id,
        send.store_id,
        send.lever,
        str(said.get("variant") or ""),
        str(said.get("visit_id") or ""),
        str((said.get("call_to_action") or {}).get("kind") or ""),
        basket_url(record, now_ms),
    )


async def sent_with(state: State, trigger_id: str) -> Sent | None:
    """Whose the links of a trigger are; None where that is not known any more."""
    name = card_name(trigger_id)
    card = (await state.cards([name])).get(name)
    return None if card is None else msgspec.msgpack.decode(card.body, type=Sent)


def opened(token: str, key: bytes) -> Link | None:
    """What a link says; None for one that we did not make."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii", "replace"))
    except (BinasciiError, ValueError):
        return None
    said, shown = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
    if len(raw) != TOKEN_BYTES or not hmac.compare_digest(shown, seal(key, said)):
        return None
    return said_in(raw)


def store_of(link: Link, sent: Sent | None, book: Book) -> Store | None:
    """The store of a link; None for one that is not in the catalogue any more."""
    if sent is not None and mark_of(sent.store_id) == link.mark:
        store_ix = book.store_ix_of.get(sent.store_id)
        return None if store_ix is None else book.stores[store_ix]
    assert len(link.mark) == MARK_BYTES
    return next((store for store in book.stores if mark_of(store.id) == link.mark), None)


def target(link: Link, sent: Sent | None, book: Book, platform: str) -> str:
    """Where a link leads on this platform; "" where it leads nowhere any more."""
    if link.kind == "basket":
        return "" if sent is None else sent.url
    return url_of(link.kind, store_of(link, sent, book), link.mode, platform)


def platform_of(agent: str) -> str:
    """The platform of a browser, as it names itself."""
    if "iPhone" in agent or "iPad" in agent or "iPod" in agent:
        return IOS
    return ANDROID if "Android" in agent else WEB


def is_person(agent: str, purpose: str) -> bool:
    """Whether somebody, and no machine on somebody's behalf, is likely to follow a link."""
    known = agent.lower()
    is_looking_ahead = "prefetch" in purpose.lower() or "preview" in purpose.lower()
    return bool(known) and not is_looking_ahead and not any(one in known for one in PREVIEWS)


def moment_of(kind: str, trigger_id: str, sent: Sent, now_ms: int, action: str = "") -> Fact:
    """A message was opened or clicked: once a minute, however often it was touched in it."""
    data = {"lever": sent.lever, "variant": sent.variant}
    if action:
        data["call_to_action"] = action
    return Fact(
        id=digest(kind, trigger_id, now_ms // MINUTE_MS),
        kind=kind,
        person_id=sent.person_id,
        at_ms=now_ms,
        store_id=sent.store_id,
        campaign_id=sent.campaign_id,
        trigger_id=trigger_id,
        visit_id=sent.visit_id,
        data=data,
    )


def may_count(record: Record | None, book: Book) -> bool:
    """Whether what somebody does with a message may be counted."""
    if record is None:
        return False
    measure = book.engine.spec.measure
    is_assumed = measure.consent == "location" and _is_located(record, book)
    return record.agrees(PURPOSE, frozenset({PURPOSE} if is_assumed else ()))


def _is_located(record: Record, book: Book) -> bool:
    is_assumed = book.engine.spec.consent.location == "assumed"
    return record.agrees("location", frozenset({"location"} if is_assumed else ()))
