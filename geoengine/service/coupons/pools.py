"""Pools: codes that somebody else made, uploaded in lots, given to one trigger each.

Theory of operation
-------------------
*Claim.* A trigger first writes down which chunk it will take a code from (its claim), then takes
one there, then writes the code into the claim. Each write is a compare-and-swap, and each step
finds what was done before: a claim that was cut short goes on where it stopped. A trigger's code is
the one in its claim, and nothing else: whoever took a code and finds that the claim has gone
another way gives it back.

*Upload.* A lot becomes new chunks behind the last one. A chunk is put only by who has read all that
come before it, since the card of that number must not be there yet: so no code comes in twice,
however many upload at once.

*How many are left* is counted here from what was read and claimed; other processes' claims are seen
when a pool is read again.

Invariants
----------
1. A trigger has one code at the most, whoever claims it how often at once.
2. A code has one trigger at the most.
3. A code that is given back can be claimed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from geoengine.core.errors import StateConflict
from geoengine.core.ids import digest
from geoengine.core.offers.coupons import normalised
from geoengine.core.record import Packed
from geoengine.core.units import SECOND_MS
from geoengine.service.coupons.chunks import (
    CHUNK_CODES,
    Chunk,
    body_of,
    chunk_name,
    chunk_of,
    is_code,
    rewrite,
)
from geoengine.state.base import Card, State

POOL_CODES_MAX: Final = 1_000_000  # some 16 MB of cards; reading them all takes seconds
PAGE: Final = 200  # chunks read at once, so that others get their turn in between
# How old a count of other processes' claims may be. Longer, and campaigns fire on an empty pool,
# whose messages are then refused; shorter, and large pools are read all the time.
FRESH_MS: Final = 30 * SECOND_MS


LISTED: Final = "pool/"  # a card a pool, so that pools are found without reading their codes


class Claim(Packed):
    """Where a trigger takes its code, and which it is once it has one."""

    pool_id: str
    chunk: int
    code: str = ""


@dataclass(slots=True)
class Shelf:
    """What is known of one pool."""

    codes: list[int] = field(default_factory=list)  # by chunk
    free: list[int] = field(default_factory=list)
    read_ms: int = -FRESH_MS

    @property
    def free_count(self) -> int:
        """How many codes nobody holds."""
        return sum(self.free)

    @property
    def code_count(self) -> int:
        """How many were uploaded."""
        return sum(self.codes)

    def note(self, number: int, chunk: Chunk) -> None:
        """A chunk as it was just seen."""
        while len(self.codes) <= number:
            self.codes.append(0)
            self.free.append(0)
        self.codes[number], self.free[number] = len(chunk.codes), chunk.free_count

    def pick(self, trigger_id: str) -> int | None:
        """A chunk with a free code; different triggers begin at different ones."""
        count = len(self.free)
        first = int(digest(trigger_id)[:8], 16) % count if count else 0
        numbers = (*range(first, count), *range(first))
        return next((number for number in numbers if self.free[number] > 0), None)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of the codes of an upload."""

    added: int
    doubles: int  # in the pool already, or twice in the upload
    refused: list[int]  # places in the upload of what is no code


class Pools:
    """One process's view of all pools."""

    def __init__(self, state: State, clock: Callable[[], int]) -> None:
        self._state = state
        self._clock = clock
        self._shelves: dict[str, Shelf] = {}

    # -- codes come in ----------------------------------------------------------------------------

    async def upload(self, pool_id: str, texts: Iterable[str]) -> Uploaded:
        """Add codes to a pool. Raises `ValueError` where it would become too large."""
        stripped = [text.strip() for text in texts]
        refused = [ix for ix, text in enumerate(stripped) if not is_code(text)]
        codes = {normalised(text): text for text in stripped if is_code(text)}
        given, added = len(stripped) - len(refused), 0
        await self._list(pool_id)
        shelf, known = Shelf(), set[str]()
        while True:
            for number, chunk in await self._chunks(pool_id, len(shelf.codes)):
                shelf.note(number, chunk)
                known.update(map(normalised, chunk.codes))
            fresh = [code for key, code in codes.items() if key not in known]
            if shelf.code_count + len(fresh) > POOL_CODES_MAX:
                raise ValueError(f"a pool holds {POOL_CODES_MAX} codes: {pool_id}")
            if not fresh:
                break
            added += await self._put(pool_id, shelf, fresh[:CHUNK_CODES], known)
        shelf.read_ms = self._clock()
        self._shelves[pool_id] = shelf
        return Uploaded(added, given - added, refused)

    async def _list(self, pool_id: str) -> None:
        name = LISTED + pool_id
        if name not in await self._state.cards([name]):
            with suppress(StateConflict):  # somebody else lists it
                await self._state.put_card(Card(name, b"1"), self._clock())

    async def _put(self, pool_id: str, shelf: Shelf, codes: list[str], known: set[str]) -> int:
        """Put one more chunk behind the last, unless somebody else just has; how many codes."""
        number, chunk = len(shelf.codes), Chunk(codes)
        card = Card(chunk_name(pool_id, number), body_of(chunk))
        try:
            await self._state.put_card(card, self._clock())
        except StateConflict:
            return 0
        shelf.note(number, chunk)
        known.update(map(normalised, codes))
        return len(codes)

    # -- codes go out -----------------------------------------------------------------------------

    async def claim(self, pool_id: str, trigger_id: str, owner: str = "", until_ms: int = 0) -> str:
        """The code of a trigger: the one it has, or one of its own from now on; "" from an empty
        pool. What is kept of the claim is the owner's, until it is of no use any more.
        """
        card = await self._claim_card(trigger_id)
        while True:
            claim = _claim_of(card)
            if claim is not None and claim.code:
                return claim.code
            code = "" if claim is None else await self._take(claim, trigger_id)
            if code and claim is not None:
                chosen = Claim(claim.pool_id, claim.chunk, code)
            elif (number := await self._pick(pool_id, trigger_id)) is not None:
                chosen = Claim(pool_id, number)
            else:
                return ""
            usual = Card(claim_name(trigger_id), b"", 0, owner, until_ms)
            again = msgspec.structs.replace(card or usual, body=msgspec.msgpack.encode(chosen))
            try:
                card = await self._state.put_card(again, self._clock())
            except StateConflict:
                card = await self._claim_card(trigger_id)
                if code and claim is not None:
                    await self._unless_agreed(claim, trigger_id, card)

    async def claimed(self, trigger_id: str) -> str:
        """The code that a trigger has; "" for none."""
        claim = _claim_of(await self._claim_card(trigger_id))
        return "" if claim is None else claim.code

    async def release(self, trigger_id: str) -> None:
        """Give back the code of a trigger that certainly reached nobody."""
        card = await self._claim_card(trigger_id)
        claim = _claim_of(card)
        if card is None or claim is None:
            return
        await self._give_back(claim, trigger_id)
        await self._state.put_card(msgspec.structs.replace(card, body=b""), self._clock())

    async def _take(self, claim: Claim, trigger_id: str) -> str:
        """The trigger's code in the chunk that it has chosen; "" where none is free."""
        taken = [""]

        def change(chunk: Chunk) -> bool:
            taken[0] = chunk.held_by(trigger_id)
            if not taken[0]:
                taken[0] = chunk.take(trigger_id)
                return bool(taken[0])
            return False

        await self._rewrite(claim, change)
        return taken[0]

    async def _unless_agreed(self, claim: Claim, trigger_id: str, card: Card | None) -> None:
        """Give back what was taken where the claim has gone to another chunk meanwhile."""
        now = _claim_of(card)
        if now is None or (now.pool_id, now.chunk) != (claim.pool_id, claim.chunk):
            await self._give_back(claim, trigger_id)

    async def _give_back(self, claim: Claim, trigger_id: str) -> None:
        await self._rewrite(claim, lambda chunk: chunk.give_back(trigger_id))

    async def _rewrite(self, claim: Claim, change: Callable[[Chunk], bool]) -> None:
        chunk = await rewrite(self._state, claim.pool_id, claim.chunk, change, self._clock())
        self._shelf(claim.pool_id).note(claim.chunk, chunk)

    async def _pick(self, pool_id: str, trigger_id: str) -> int | None:
        """A chunk that has a free code as far as is known, or is found to have one."""
        number = self._shelf(pool_id).pick(trigger_id)
        if number is None:
            await self.read(pool_id)
            number = self._shelf(pool_id).pick(trigger_id)
        return number

    async def _claim_card(self, trigger_id: str) -> Card | None:
        name = claim_name(trigger_id)
        return (await self._state.cards([name])).get(name)

    # -- how many ---------------------------------------------------------------------------------

    async def shelf(self, pool_id: str) -> Shelf:
        """What there is of a pool, no older than `FRESH_MS`."""
        shelf = self._shelf(pool_id)
        if self._clock() - shelf.read_ms >= FRESH_MS:
            await self.read(pool_id)
        return self._shelf(pool_id)

    async def read(self, pool_id: str) -> None:
        """Count a pool anew."""
        shelf = Shelf(read_ms=self._clock())
        for number, chunk in await self._chunks(pool_id, 0):
            shelf.note(number, chunk)
        self._shelves[pool_id] = shelf

    def _shelf(self, pool_id: str) -> Shelf:
        return self._shelves.setdefault(pool_id, Shelf())

    async def _chunks(self, pool_id: str, first: int) -> list[tuple[int, Chunk]]:
        """The chunks of a pool from a number on, in order."""
        found: list[tuple[int, Chunk]] = []
        while True:
            names = [chunk_name(pool_id, first + ix) for ix in range(PAGE)]
            cards = await self._state.cards(names)
            for name in names:
                if name not in cards:
                    return found
                found.append((first, chunk_of(cards[name])))
                first += 1

    async def names(self) -> list[str]:
        """All pools there are, by name."""
        found, start = set[str](), ""
        while True:
            page = await self._state.cards_from(LISTED, start, PAGE)
            found.update(card.name.removeprefix(LISTED) for card in page.cards)
            if not (start := page.next):
                return sorted(found)


def claim_name(trigger_id: str) -> str:
    """The name of a trigger's claim."""
    return f"claim/{trigger_id}"


def _claim_of(card: Card | None) -> Claim | None:
    return None if card is None else msgspec.msgpack.decode(card.body, type=Claim)
