"""Who said STOP: addresses to which nothing is sent, whosever they are, until they say START.

Promise (I1): once a STOP was answered, no message to that address starts. The argument is that of a
withdrawal, with a card in place of a record:

1. the STOP writes a card for the address, durably;
2. then it takes the consent back for everybody of whom that address is known;
3. then it waits for what is on its way to each of them (`quiesce`);
4. then it answers.

Before each attempt a message is begun in the state, and then the card is read (`Stopper`). An
attempt that did not see the card had begun before it was written; it belongs to one of those people
and is waited for in step 3. Whose the address is stands on a card of its own, which is written
before the address is put into a record, and taken off it only after nothing is on its way there any
more.

The cards hold a keyed hash in place of the address, and stay when the person is erased.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms
from geoengine.core.consent.optout import normalised
from geoengine.core.engine import Outcome
from geoengine.core.record import Json, Record, Send
from geoengine.service.consent.cards import (
    body_of,
    names_in,
    rewrite,
    with_name,
    without,
)
from geoengine.service.consent.marks import Marks, marks_of
from geoengine.service.sending.preparing import Prepared
from geoengine.state import amending
from geoengine.state.base import Card, State

ADDRESSED: Final = ("sms", "email")  # levers whose addresses outlive devices
UNSUBSCRIBE_URL: Final = "unsubscribe_url"  # in the data of an e-mail's event, for its headers
Quiesce = Callable[[str], Awaitable[object]]


class Stop(Struct, frozen=True):
    """What is kept of an address that said STOP."""

    at_ms: int
    source: str


class Stopped(Struct, frozen=True):
    """A STOP as it is listed: nobody can tell any more whose address it was."""

    lever: str
    mark: str
    at_ms: int
    source: str


class Suppression:
    """The list, and what is done when somebody gets onto it."""

    def __init__(
        self,
        state: State,
        book_of: Callable[[], Book],
        clock: Callable[[], int],
        quiesce: Quiesce,
        tell: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._clock = clock
        self._quiesce = quiesce
        self._tell = tell
        self._marks: Marks | None = None

    async def marks(self) -> Marks:
        """The hashes of this state."""
        if self._marks is None:
            self._marks = await marks_of(self._state)
        return self._marks

    # -- stop and start ---------------------------------------------------------------------------

    async def stop(self, lever: str, address: str, told: Json) -> list[str]:
        """Nothing more to this address; the people whose consent ended with it. Effective before
        this returns. ``told`` says where it comes from, for the ledger.
        """
        return await self.stop_mark(lever, (await self.marks()).address(lever, address), told)

    async def stop_mark(self, lever: str, mark: str, told: Json) -> list[str]:
        """The same for an address of which only the mark is known."""
        now_ms = self._clock()
        stop = msgspec.msgpack.encode(Stop(now_ms, str(told.get("source", ""))))

        kept_ms = duration_ms(self._book_of().engine.spec.retention.suppressions)

        def change(body: bytes) -> bytes | None:
            return None if body and not kept_ms else stop  # one with an end begins anew

        until_ms = now_ms + kept_ms if kept_ms else 0
        await rewrite(self._state, _stop(lever, mark), change, now_ms, until_ms=until_ms)
        asked: dict[str, bool] = {}  # person -> whether a consent of theirs ended with it
        # Once more where somebody has become somebody else's meanwhile.
        while new := [one for one in await self._holders(lever, mark) if one not in asked]:
            for person_id in new:
                asked[person_id] = await self._withdraw(person_id, lever, mark, told)
        # Also under names that stand for somebody by now: what was begun before is under them.
        listed = names_in(await body_of(self._state, _who(lever, mark)))
        await asyncio.gather(*map(self._quiesce, {*asked, *listed}))
        return [person_id for person_id, has_ended in asked.items() if has_ended]

    async def start(self, lever: str, address: str) -> bool:
        """Take an address off the list; whether it was on it. No consent comes back with it."""
        return await self.start_mark(lever, (await self.marks()).address(lever, address))

    async def start_mark(self, lever: str, mark: str) -> bool:
        """The same for an address of which only the mark is known."""
        name, was = _stop(lever, mark), False

        def change(body: bytes) -> bytes | None:
            nonlocal was
            was = bool(body)
            return b""

        await rewrite(self._state, name, change, self._clock())
        return was

    async def is_stopped(self, lever: str, address: str) -> bool:
        """Whether an address is on the list."""
        name = _stop(lever, (await self.marks()).address(lever, address))
        return bool(await body_of(self._state, name))

    async def listed(self) -> AsyncIterator[Stopped]:
        """Everything on the list."""
        start = ""
        while True:
            page = await self._state.cards_from("stop/", start)
            for card in page.cards:
                yield stop_of(card)
            if not page.next:
                return
            start = page.next

    async def _withdraw(self, person_id: str, lever: str, mark: str, told: Json) -> bool:
        """Take a consent back, if the address is still this person's; whether it was given."""
        marks = await self.marks()

        def is_theirs(record: Record) -> bool:
            return marks.address(lever, record.addresses.get(lever, "")) == mark

        book, now_ms = self._book_of(), self._clock()
        done = await amending.withdraw(
            self._state, book, person_id, lever, told, now_ms, only_if=is_theirs
        )
        self._tell(done)
        return bool(done.events)

    # -- whose address is whose -------------------------------------------------------------------

    async def holders(self, kind: str, value: str) -> list[str]:
        """The people of whom an address or an identifier is known."""
        return await self._holders(kind, await self._mark(kind, value))

    async def learn(self, person_id: str, kind: str, value: str) -> None:
        """Note whose it is; before it is put into the record."""
        name = _who(kind, await self._mark(kind, value))
        await rewrite(self._state, name, with_name(person_id), self._clock())

    async def forget(self, person_id: str, kind: str, value: str) -> None:
        """Note that it is theirs no more, under whatever name of theirs it was noted; after it was
        taken out of the record.
        """
        name = _who(kind, await self._mark(kind, value))
        await self._quiesce(person_id)  # a message may be on its way there still
        listed = names_in(await body_of(self._state, name))
        owners = await self._state.owners(listed) if listed else []
        theirs = {one for one, owner in zip(listed, owners, strict=True) if owner == person_id}
        await rewrite(self._state, name, without(theirs), self._clock())

    async def _mark(self, kind: str, value: str) -> str:
        marks = await self.marks()
        is_address = kind in ADDRESSED
        return marks.address(kind, value) if is_address else marks.identifier(kind, value)

    async def _holders(self, kind: str, mark: str) -> list[str]:
        names = names_in(await body_of(self._state, _who(kind, mark)))
        return list(dict.fromkeys(await self._state.owners(names))) if names else []


class Stopper:
    """Asked before each attempt: whether the address is still the person's, and has not said STOP.

    It also writes into an e-mail where to unsubscribe; the link is the same at each attempt.
    """

    def __init__(self, state: State, book_of: Callable[[], Book]) -> None:
        self._state = state
        self._book_of = book_of
        self._marks: Marks | None = None

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """The message, or why it must not go: ``address_changed:LEVER``, ``suppressed:LEVER``."""
        lever = send.lever
        if send.kind == "event" or lever not in (*ADDRESSED, "push"):
            return Prepared(send)
        if not _is_still_theirs(send, record):
            return Prepared(send, f"address_changed:{lever}")
        if lever == "push":
            return Prepared(send)
        if self._marks is None:
            self._marks = await marks_of(self._state)
        mark = self._marks.address(lever, send.address)
        if await body_of(self._state, _stop(lever, mark)):
            return Prepared(send, f"suppressed:{lever}")
        public_url = self._book_of().engine.spec.public_url
        if lever != "email" or public_url is None:
            return Prepared(send)
        link = f"{public_url.rstrip('/')}/u/{self._marks.link(lever, mark)}"
        return Prepared(_with_link(send, link))


def _is_still_theirs(send: Send, record: Record) -> bool:
    if send.lever == "push":
        return any(":".join(token) == send.address for token in record.push_tokens.values())
    known = record.addresses.get(send.lever, "")
    return normalised(send.lever, known) == normalised(send.lever, send.address)


def _with_link(send: Send, url: str) -> Send:
    event = dict(send.event)
    event["data"] = {**(event.get("data") or {}), UNSUBSCRIBE_URL: url}
    return msgspec.structs.replace(send, event=event)


def stop_of(card: Card) -> Stopped:
    """What a card of the list says."""
    _, lever, mark = card.name.split("/")
    stop = msgspec.msgpack.decode(card.body, type=Stop)
    return Stopped(lever, mark, stop.at_ms, stop.source)


def _stop(lever: str, mark: str) -> str:
    return f"stop/{lever}/{mark}"


def _who(kind: str, mark: str) -> str:
    return f"who/{kind}/{mark}"
