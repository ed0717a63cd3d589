"""A marked test message to one person, with every question that stands before it told.

It is a row of the outbox of a kind of its own: the dispatcher asks about it what it asks about a
trigger (consent, STOP, age, pause, hours), but for the campaign it has not got, and a withdrawal
waits for it as for any other. It counts under no cap and in no report. Nothing can be forced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.record import Event, Record, Send
from geoengine.core.rules import may_send
from geoengine.core.telling.events import cloud_event
from geoengine.core.telling.news import LEVER as WEBHOOK
from geoengine.core.units import MINUTE_MS
from geoengine.levers.base import Lever, cannot
from geoengine.service.sending.preparing import Preparer
from geoengine.state.base import Commit, Settlement, State

LIFE_MS = MINUTE_MS  # who tests wants to know now; a retry or two fit in
HEARD_S = 20.0  # how long the first attempt is waited for: longer than any takes
LOOK_S, LOOKED_AT = 1.0, 1_000  # how often the state is asked, and for how many of the newest rows
MARK = "[TEST]"
MESSAGE = "geoengine says hello: this lever works."
TYPE = "test.message"


class Asked(Struct, frozen=True):
    """What is to be tried."""

    person_id: str
    lever: str
    message: str = MESSAGE
    endpoint: str = ""  # of webhooks; "" is the first


class Check(Struct, frozen=True):
    """One question that stands before a message; "" for nothing against it."""

    what: str
    why_not: str = ""


class Trial(Struct, frozen=True):
    """What was asked, and what became of the first attempt: no status where none was made."""

    send_id: str
    checks: list[Check]
    status: str = ""
    reason: str = ""


class Trials:
    """Makes test messages, and hears what became of them."""

    def __init__(
        self,
        state: State,
        book_of: Callable[[], Book],
        levers_of: Callable[[], Mapping[str, Lever]],
        preparers: Sequence[Preparer],
        clock: Callable[[], int],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._levers_of = levers_of
        self._preparers = tuple(preparers)
        self._clock = clock
        self._wake = wake
        self._waiting: dict[str, asyncio.Future[Settlement]] = {}

    def heard(self, send: Send, settlement: Settlement) -> None:
        """A row was attempted, or has ended."""
        waiting = self._waiting.get(send.send_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(settlement)

    async def by_outbox(self, asked: Asked, heard_s: float = HEARD_S) -> Trial:
        """Check, and have the dispatcher send it."""
        send, checks = await self._checked(asked)
        if any(check.why_not for check in checks):
            return Trial("", checks)
        waiting = self._waiting[send.send_id] = asyncio.get_running_loop().create_future()
        try:
            row = Commit(f"test:{send.send_id}", sends=(send,), now_ms=self._clock())
            await self._state.commit(row)
            self._wake()
            async with asyncio.timeout(heard_s):
                outcome = await self._outcome(send.send_id, waiting)
        except TimeoutError:
            return Trial(send.send_id, checks, "pending", "see `geoengine outbox`")
        finally:
            del self._waiting[send.send_id]
        return Trial(send.send_id, checks, *outcome)

    async def _outcome(self, send_id: str, waiting: asyncio.Future[Settlement]) -> tuple[str, str]:
        """Status and reason of the first attempt, as heard here, or as read in the state where
        another process made it.
        """
        while True:
            await asyncio.wait([waiting], timeout=LOOK_S)
            if waiting.done():
                return waiting.result().status, waiting.result().reason
            for row in await self._state.sends("", LOOKED_AT):
                is_told = row.send.attempts > 0 or row.settled_ms is not None
                if row.send.send_id == send_id and is_told:
                    return row.status, row.reason or row.send.last_error

    async def directly(self, asked: Asked) -> Trial:
        """Check and send at once: for a state that nobody serves, where nobody can withdraw what
        is on its way.
        """
        send, checks = await self._checked(asked)
        if any(check.why_not for check in checks):
            return Trial("", checks)
        record = await self._record(asked.person_id)
        for preparer in self._preparers:
            send, _none = await preparer.prepare(send, record, self._clock())
        lever = self._levers_of()[asked.lever]
        receipt = await lever.send(send, self._clock())
        return Trial(send.send_id, checks, receipt.status, receipt.text)

    # -- the questions ----------------------------------------------------------------------------

    async def _checked(self, asked: Asked) -> tuple[Send, list[Check]]:
        """The message, and every question about it in the order of the rules; what hangs on an
        earlier answer is not asked any more.
        """
        book, record = self._book_of(), await self._record(asked.person_id)
        send = _message(asked, record, book, self._clock())
        checks = [
            Check("a sender for the lever", self._no_sender(asked.lever)),
            Check("the person is known", "" if record.version else "unknown_person"),
            *_consents(asked, record, book),
            Check("an address", "" if _has_address(asked, send, book) else "no_address"),
        ]
        if not any(check.why_not for check in checks):
            why_not = may_send(send, record, book, self._clock())
            checks.append(Check("age, pause, lawful and quiet hours", why_not))
            checks.append(Check("no STOP, and ready to leave", await self._stops(send, record)))
        return send, checks

    def _no_sender(self, name: str) -> str:
        lever = self._levers_of().get(name)
        if lever is None:
            return f"no_sender:{name}"
        return cannot(lever)

    async def _stops(self, send: Send, record: Record) -> str:
        for preparer in self._preparers:
            try:
                send, why_not = await preparer.prepare(send, record, self._clock())
            except StateUnavailable:
                return "busy"
            if why_not:
                return why_not
        return ""

    async def _record(self, person_id: str) -> Record:
        owners = await self._state.owners([person_id])
        found = await self._state.load(owners)
        return found.get(owners[0]) or Record(owners[0])


def _consents(asked: Asked, record: Record, book: Book) -> list[Check]:
    assumed = book.engine.spec.consent.location == "assumed"
    located = record.agrees("location", frozenset({"location"} if assumed else ()))
    checks = [Check("consent to location", "" if located else "no_consent:location")]
    if asked.lever in PERSON_LEVERS:
        why_not = "" if record.allows(asked.lever) else f"no_consent:{asked.lever}"
        checks.append(Check(f"consent to {asked.lever}", why_not))
    return checks


def _has_address(asked: Asked, send: Send, book: Book) -> bool:
    if asked.lever == WEBHOOK:
        return send.address in book.endpoints
    return asked.lever not in PERSON_LEVERS or bool(send.address)


def _address(asked: Asked, record: Record, book: Book) -> str:
    if asked.lever == WEBHOOK:
        return asked.endpoint or next(iter(book.endpoints), "")
    if asked.lever == "push":
        token = next(iter(record.push_tokens.values()), None)
        return ":".join(token) if token else ""
    return record.addresses.get(asked.lever, "")


def _message(asked: Asked, record: Record, book: Book, now_ms: int) -> Send:
    body = f"{MARK} {asked.message}"
    said = {"locale": record.locale, "title": MARK, "body": body}
    data = {"person_id": record.person_id, "lever": asked.lever, "is_test": True, "message": said}
    event = Event(uuid4().hex[:24], TYPE, now_ms, record.person_id, data)
    return Send(
        send_id=event.id,
        kind="test",
        person_id=record.person_id,
        lever=asked.lever,
        created_ms=now_ms,
        expires_ms=now_ms + LIFE_MS,
        due_ms=now_ms,
        event=cloud_event(event),
        address=_address(asked, record, book),
        consent_epoch=record.epoch(asked.lever),
        location_epoch=record.epoch("location"),
    )
