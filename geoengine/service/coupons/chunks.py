"""A pool's codes, a few hundred on a card: what a claim rewrites, and no more.

A chunk knows which trigger holds which of its codes. What was uploaded stays in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from geoengine.core.record import Packed
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State

CHUNK_CODES: Final = 256  # some 4 kB of codes, 8 kB more once all are held
PREFIX: Final = "codes/"
# What a cashier can type and a barcode can hold; and nothing that would need care in a path.
CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_*+:$-]{2,63}$"
_CODE: Final = re.compile(CODE_PATTERN)


class Chunk(Packed):
    """Some codes of a pool, and the triggers that hold them, by the code's place."""

    codes: list[str]
    holders: dict[int, str] = field(default_factory=dict)

    @property
    def free_count(self) -> int:
        """How many nobody holds."""
        return len(self.codes) - len(self.holders)

    def held_by(self, trigger_id: str) -> str:
        """The code that a trigger holds; "" for none."""
        places = (place for place, holder in self.holders.items() if holder == trigger_id)
        place = next(places, None)
        return "" if place is None else self.codes[place]

    def take(self, trigger_id: str) -> str:
        """Give the first free code to a trigger; "" where all are held."""
        free = next((ix for ix in range(len(self.codes)) if ix not in self.holders), None)
        if free is None:
            return ""
        self.holders[free] = trigger_id
        return self.codes[free]

    def give_back(self, trigger_id: str) -> bool:
        """Free what a trigger holds; whether it held one."""
        places = [place for place, holder in self.holders.items() if holder == trigger_id]
        for place in places:
            del self.holders[place]
        return bool(places)


def is_code(text: str) -> bool:
    """Whether a pool takes this as a code."""
    return _CODE.match(text) is not None


def chunk_name(pool_id: str, number: int) -> str:
    """The name of a chunk's card; they sort as they are numbered."""
    return f"{prefix_of(pool_id)}{number:06}"


def prefix_of(pool_id: str) -> str:
    """What the names of a pool's chunks begin with."""
    return f"{PREFIX}{pool_id}/"


def chunk_of(card: Card) -> Chunk:
    """What a card holds."""
    return msgspec.msgpack.decode(card.body, type=Chunk)


def body_of(chunk: Chunk) -> bytes:
    """As a card's body."""
    return msgspec.msgpack.encode(chunk)


async def rewrite(
    state: State, pool_id: str, number: int, change: Callable[[Chunk], bool], now_ms: int
) -> Chunk:
    """Change a chunk that others change as well; ``change`` tells whether it did. As it is then."""

    def changed(card: Card) -> Card | None:
        if not card.body:
            return None
        chunk = chunk_of(card)
        return replace(card, body=body_of(chunk)) if change(chunk) else None

    card = await amend_card(state, chunk_name(pool_id, number), changed, now_ms)
    return chunk_of(card) if card.body else Chunk([])
