"""A copy of a state, on whatever back end, and the proof that it is one.

Everything that one state tells, the other takes in. Then the other is opened anew and told in its
turn, and both sides' counts and checksums are compared, kind by kind. A checksum is the sum of the
digests of all items, each packed in one canonical way: back ends tell in orders of their own.

A copy carries a mark until it is proven. A state with the mark is no state to be served, and the
next copy into it wipes it first: what was erased in between must not come back.

What it does not do: keep others from writing. Neither side may be served from first to last; that
is asked before and after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Decision, Fact
from geoengine.state.base import Alias, Card, Kept, LastTime, Note, Person, SentRow, State

MARK: Final = "copy"  # the name of a note
_UNPROVEN: Final = b"unproven"
_PROVEN: Final = b""
_DIGEST_BYTES: Final = 16
KINDS: Final[dict[type, str]] = {
    Note: "notes",
    Person: "people",
    Alias: "aliases",
    LastTime: "last fixes",
    SentRow: "sends",
    Decision: "decisions",
    Fact: "facts",
    Card: "cards",
}

OnProgress = Callable[["Tally", float], None]
S = TypeVar("S", bound=State)

_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


@dataclass(slots=True)
class Tally:
    """How much there is of each kind, and its checksum, whatever the order it was told in."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS.values(), 0))
    _sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS.values(), 0))

    def add(self, items: Iterable[Kept]) -> None:
        """Count these in."""
        for item in items:
            kind = KINDS[type(item)]
            digest = blake2b(_canonical(item), digest_size=_DIGEST_BYTES).digest()
            self.counts[kind] += 1
            self._sums[kind] = (self._sums[kind] + int.from_bytes(digest)) % (1 << 128)

    def differing(self, other: Tally) -> list[str]:
        """The kinds of which both do not have the same."""
        return [
            kind
            for kind, count in self.counts.items()
            if (count, self._sums[kind]) != (other.counts[kind], other._sums[kind])
        ]

    def checksum(self) -> str:
        """Of everything, as people compare it."""
        told = msgspec.msgpack.encode((self.counts, [hex(one) for one in self._sums.values()]))
        return blake2b(told, digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Copied:
    """What one side told, and what the other tells."""

    told: Tally
    found: Tally


async def copy(origin: State, make_target: Callable[[], State], on_progress: OnProgress) -> Copied:
    """Copy an open state into one that is empty, or half a copy, and read it back.

    Raises `StateUnavailable` where somebody serves either, or the other holds something already.
    """
    await require_whole(origin)
    await _require_unserved(origin, "FROM")
    async with opened(make_target()) as target:
        await _require_unserved(target, "TO")
        await _clear(target)
        told = await _pour(origin, target, on_progress)
    async with opened(make_target()) as target:
        found = await _read(target, on_progress)
        await _require_unserved(origin, "FROM")
        await _require_unserved(target, "TO")
        if not told.differing(found):
            await target.note(MARK, _PROVEN)
    return Copied(told, found)


async def require_whole(state: State) -> None:
    """Raises `StateUnavailable` for a copy that was not proven to be one."""
    if await state.noted(MARK) == _UNPROVEN:
        raise StateUnavailable(
            "the state is a copy that was broken off or found wrong: "
            "run `geoengine state copy` again, it begins anew"
        )


@asynccontextmanager
async def opened(state: S) -> AsyncIterator[S]:
    """The state, open for as long as this lasts."""
    await state.open()
    try:
        yield state
    finally:
        await state.close()


async def _require_unserved(state: State, side: str) -> None:
    if processes := await state.served_by():
        raise StateUnavailable(
            f"{side} is being served by {', '.join(processes)}: stop them first, "
            "what they write meanwhile would be missing"
        )


async def _clear(target: State) -> None:
    """Only what an earlier copy has left may go."""
    if await target.noted(MARK) == _UNPROVEN:
        await target.wipe()
    elif not await _is_empty(target):
        raise StateUnavailable("TO is not empty: copy into a new file, or under another prefix")
    await target.note(MARK, _UNPROVEN)


async def _is_empty(state: State) -> bool:
    async for items, _ in _items_of(state):
        if items:
            return False
    return True


async def _pour(origin: State, target: State, on_progress: OnProgress) -> Tally:
    tally = Tally()
    async for items, done in _items_of(origin):
        tally.add(items)
        await target.take_in(items)
        on_progress(tally, done / 2)
    return tally


async def _read(target: State, on_progress: OnProgress) -> Tally:
    tally = Tally()
    async for items, done in _items_of(target):
        tally.add(items)
        on_progress(tally, 0.5 + done / 2)
    return tally


async def _items_of(state: State) -> AsyncIterator[tuple[list[Kept], float]]:
    """All that is told, but for the mark."""
    async for items, done in state.tell():
        yield [one for one in items if not (isinstance(one, Note) and one.name == MARK)], done
