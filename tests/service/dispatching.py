"""A dispatcher on real state with a clock of its own, and levers that note what they are given."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from geoengine.core.book import Book
from geoengine.core.record import Consent, Event, Record, Send
from geoengine.levers.base import Lever, Receipt
from geoengine.service.dispatcher import Dispatcher
from geoengine.service.sending.ending.settler import Hooks
from geoengine.state.base import Change, Commit, SentRow, Settlement
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, World, a_campaign, a_store

ENDS = {"delivered", "expired", "refused", "dead"}


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now_ms: int = NOON_MS

    def __call__(self) -> int:
        """The time."""
        return self.now_ms


@dataclass
class Answers:
    """A lever that answers with one receipt after the other, the last for ever."""

    name: str
    receipts: list[Receipt]
    timeout_s: float = 15.0
    started: list[tuple[int, str]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """The next receipt."""
        self.started.append((now_ms, send.send_id))
        async with self.news:
            self.news.notify_all()
        return self.receipts.pop(0) if len(self.receipts) > 1 else self.receipts[0]

    async def has_started(self, count: int) -> None:
        """Wait for so many sends."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.started) >= count)

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def ids(self) -> list[str]:
        """What was sent, in order."""
        return [send_id for _now_ms, send_id in self.started]


def answers(*receipts: Receipt, name: str = "log") -> Answers:
    """A lever with these answers."""
    return Answers(name, list(receipts))


DELIVERED = Receipt("delivered")
DOWN = Receipt("retry", "http_503")


def a_book(**more: Any) -> Book:
    """One store and one campaign; what is told is the campaign's."""
    return World([a_store()], campaigns=[a_campaign(**more)]).book()


def a_row(send_id: str = "s1", **changes: Any) -> Send:
    """A trigger of fifteen minutes, just fired."""
    usual: dict[str, Any] = {
        "send_id": send_id,
        "kind": "trigger",
        "person_id": "ada",
        "lever": "log",
        "created_ms": NOON_MS,
        "expires_ms": NOON_MS + 900_000,
        "due_ms": NOON_MS,
        "event": {"type": "geoengine.trigger.fired", "data": {"zone_id": "shop"}},
        "campaign_id": "hello",
        "store_id": "shop",
        "location_epoch": 1,
        "trigger_id": f"t-{send_id}",
    }
    return Send(**usual | changes)


@dataclass
class Post:
    """The dispatcher, what it stands on, and what it told."""

    state: LocalState
    dispatcher: Dispatcher
    clock: Clock
    events: list[Event]
    unsent: list[str]
    settled: list[tuple[str, str]]
    gone: list[tuple[str, str, str]]

    async def put(self, *sends: Send, by_person: str = "") -> None:
        """Commit rows."""
        op_id = by_person or ",".join(send.send_id for send in sends)
        await self.state.commit(Commit(op_id, sends=sends, now_ms=self.clock()))

    async def consent(self, person_id: str, purpose: str, is_granted: bool) -> None:
        """Give or withdraw, as the service does: another epoch each time."""
        records = await self.state.load([person_id])
        record = records.get(person_id) or Record(person_id)
        epoch = record.epoch(purpose) + 1
        record.consents[purpose] = Consent(is_granted, epoch, self.clock())
        op_id = f"{person_id} {purpose} {epoch}"
        await self.state.commit(Commit(op_id, changes=(Change(record, None),)))

    async def until_over(self, limit_ms: int = 10 * 86_400_000) -> None:
        """Let time pass, from one moment at which something is due to the next."""
        last_ms = self.clock() + limit_ms
        await self.dispatcher.step()
        while (due_ms := await self.state.next_due()) is not None and due_ms <= last_ms:
            self.clock.now_ms = max(due_ms, self.clock.now_ms)
            await self.dispatcher.step()

    async def rows(self) -> dict[str, SentRow]:
        """All rows, pending and ended, by id."""
        return {row.send.send_id: row for row in await self.state.sends(limit=100_000)}

    async def ends(self) -> dict[str, tuple[str, str]]:
        """How each row stands: status and reason."""
        return {name: (row.status, row.reason) for name, row in (await self.rows()).items()}

    def told(self) -> list[str]:
        """The types of the events that were told."""
        return [event.type for event in self.events]

    def count(self) -> Counter[str]:
        """How many rows ended in which way, as the metrics heard."""
        return Counter(status for _send_id, status in self.settled if status in ENDS)


@asynccontextmanager
async def a_post(
    levers: Iterable[Lever],
    book: Book | None = None,
    state: LocalState | None = None,
    clock: Clock | None = None,
    may_send: Callable[..., str] | None = None,
    **options: Any,
) -> AsyncIterator[Post]:
    """A dispatcher with these levers; Ada agreed to being located."""
    the_book, clock = book or a_book(), clock or Clock()
    state = state or LocalState(None)
    await state.open()
    events: list[Event] = []
    unsent: list[str] = []
    settled: list[tuple[str, str]] = []
    gone: list[tuple[str, str, str]] = []

    async def on_unsent(send: Send) -> None:
        unsent.append(send.send_id)

    async def on_event(event: Event) -> None:
        events.append(event)

    def on_settled(send: Send, settlement: Settlement, _took_ms: int) -> None:
        settled.append((send.send_id, settlement.status))

    async def on_gone(send: Send, receipt: Receipt) -> None:
        gone.append((send.send_id, send.address, receipt.reason))

    by_name: Mapping[str, Lever] = {lever.name: lever for lever in levers}
    dispatcher = Dispatcher(
        state,
        lambda: the_book,
        by_name,
        clock,
        random.Random(7),
        "here",
        hooks=options.pop("hooks", None) or Hooks(on_unsent, on_event, on_settled, on_gone),
        **options | ({"may_send": may_send} if may_send else {}),
    )
    post = Post(state, dispatcher, clock, events, unsent, settled, gone)
    if not await state.load(["ada"]):
        await post.consent("ada", "location", True)
    try:
        yield post
    finally:
        await dispatcher.stop(0.0)
        await state.close()


def changed(send: Send, **changes: Any) -> Send:
    """The same row, but for this."""
    return msgspec.structs.replace(send, **changes)
