"""Cards that hold a little, rewritten as a whole: who stopped, whose address is whose, proofs."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State

NAMES_MAX = 1_000  # people with one address: a switchboard; the latest count

# A body before and after; None leaves it as it is, an empty one takes the card away.
Rewrite = Callable[[bytes], bytes | None]


async def rewrite(
    state: State, name: str, change: Rewrite, now_ms: int, *, until_ms: int = 0
) -> bytes:
    """Change a card that many may write at once; durable on return. Its body as it is now."""

    def changed(card: Card) -> Card | None:
        body = change(card.body)
        if body is None or body == card.body:
            return None
        return msgspec.structs.replace(card, body=body, until_ms=until_ms)

    return (await amend_card(state, name, changed, now_ms)).body


async def body_of(state: State, name: str) -> bytes:
    """What a card holds; nothing where there is none."""
    card = (await state.cards([name])).get(name)
    return b"" if card is None else card.body


def names_in(body: bytes) -> list[str]:
    """The names a card lists."""
    return msgspec.msgpack.decode(body, type=list[str]) if body else []


def with_name(name: str) -> Rewrite:
    """List one more."""

    def change(body: bytes) -> bytes | None:
        names = names_in(body)
        if name in names:
            return None
        return msgspec.msgpack.encode([*names, name][-NAMES_MAX:])

    return change


def without(names: Collection[str]) -> Rewrite:
    """List these no more; a card that lists nobody is none."""

    def change(body: bytes) -> bytes | None:
        left = [one for one in names_in(body) if one not in names]
        return msgspec.msgpack.encode(left) if left else b""

    return change
