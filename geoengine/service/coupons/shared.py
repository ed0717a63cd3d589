"""Codes that all share: each redemption is a card, a limit is a count beside them.

A redemption of a code that is limited takes a place first. Who takes one writes the redemption's
key down in the same stroke, so that the same redemption, tried again, finds its place; the key
leaves the list when the redemption is on its card. Cut short in between, the place stays taken and
the next try goes on from there. Two that bring the same redemption at the same moment may hold two
places for as long as that takes, and give one back: so the limit is never passed, and at its very
end such a pair may keep somebody else waiting until the next try.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from geoengine.core.ids import digest
from geoengine.core.model import Coupon
from geoengine.core.offers.coupons import normalised
from geoengine.core.offers.redeeming import Redemption
from geoengine.core.record import Packed
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State

OPEN_MAX: Final = 1_000  # redemptions cut short whose key is still known; each is 24 signs


class Places(Packed):
    """How often a limited code was redeemed, and who is about to."""

    count: int = 0
    open: list[str] = field(default_factory=list)


class Use(Packed):
    """One redemption of a code that is shared."""

    campaign_id: str
    redemption: Redemption
    trigger_id: str = ""  # where it is known whose coupon it was


def use_name(code: str, redemption_id: str) -> str:
    """The name of a redemption's card."""
    return f"used/{digest('used', normalised(code), redemption_id)}"


def places_name(code: str) -> str:
    """The name of the card that counts."""
    return f"shared/{digest('shared', normalised(code))}"


def use_of(card: Card) -> Use:
    """What a redemption's card holds."""
    return msgspec.msgpack.decode(card.body, type=Use)


def _places_of(body: bytes) -> Places:
    return msgspec.msgpack.decode(body, type=Places) if body else Places()


async def used_count(state: State, code: str) -> int:
    """How many places of a limited code are taken."""
    name = places_name(code)
    card = (await state.cards([name])).get(name)
    places = _places_of(card.body if card else b"")
    return places.count + len(places.open)


async def is_used_up(state: State, coupon: Coupon) -> bool:
    """Whether a shared code has a limit and it is reached."""
    return coupon.limit is not None and (await used_count(state, coupon.code or "") >= coupon.limit)


async def use(
    state: State, coupon: Coupon, asked: Use, owner: str, now_ms: int, kept_ms: int
) -> Card | None:
    """Redeem a shared code; its card, asked's or the first's, which is kept for so long. None where
    its limit is reached.
    """
    code, name = coupon.code or "", use_name(coupon.code or "", asked.redemption.redemption_id)
    there = (await state.cards([name])).get(name)
    if there is not None:
        return there
    is_mine = False
    if coupon.limit is not None:
        is_open, is_mine = await _take_place(state, code, name, coupon.limit, now_ms)
        if not is_open:
            return (await state.cards([name])).get(name)
    body, is_first = msgspec.msgpack.encode(asked), [False]

    def first(card: Card) -> Card | None:
        is_first[0] = not card.body
        if card.body:
            return None
        return replace(card, body=body, owner=owner, until_ms=now_ms + kept_ms)

    card = await amend_card(state, name, first, now_ms)
    if coupon.limit is not None and (is_first[0] or is_mine):
        await _close(state, code, name, is_counted=is_first[0], now_ms=now_ms)
    return card


async def _take_place(
    state: State, code: str, key: str, limit: int, now_ms: int
) -> tuple[bool, bool]:
    """Whether there is a place for this redemption, and whether it has just been taken."""
    found = [False, False]

    def change(card: Card) -> Card | None:
        places = _places_of(card.body)
        found[:] = [key in places.open, False]
        if found[0] or places.count + len(places.open) >= limit:
            return None
        found[:] = [True, True]
        places.open.append(key)
        lost = len(places.open) - OPEN_MAX
        if lost > 0:  # they keep their places, and are no longer told apart
            places.count, places.open = places.count + lost, places.open[lost:]
        return replace(card, body=msgspec.msgpack.encode(places))

    await amend_card(state, places_name(code), change, now_ms)
    return found[0], found[1]


async def _close(state: State, code: str, key: str, *, is_counted: bool, now_ms: int) -> None:
    """Turn a place that was taken into a redemption that counts, or give it back."""

    def change(card: Card) -> Card | None:
        places = _places_of(card.body)
        if key not in places.open:
            return None
        places.open.remove(key)
        places.count += is_counted
        return replace(card, body=msgspec.msgpack.encode(places))

    await amend_card(state, places_name(code), change, now_ms)


async def give_place_back(state: State, code: str, now_ms: int) -> None:
    """One redemption of a limited code does not count after all."""

    def change(card: Card) -> Card | None:
        places = _places_of(card.body)
        if not places.count:
            return None
        places.count -= 1
        return replace(card, body=msgspec.msgpack.encode(places))

    await amend_card(state, places_name(code), change, now_ms)
