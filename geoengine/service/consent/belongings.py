"""What cards hold of a person, as they may have it: passes, codes, orders, links, redemptions.

A card says whose it is, and goes when its owner is erased; what an erasure would take is what is
told here. A kind that nobody has given a shape to is told as it is kept: nothing is left out.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from geoengine.core.calendar import rfc3339
from geoengine.core.offers.redeeming import Issued
from geoengine.core.record import Json
from geoengine.service.coupons.pools import Claim
from geoengine.service.coupons.shared import Use
from geoengine.service.links import Sent
from geoengine.service.orders import Filed
from geoengine.service.wallet.holding import Held
from geoengine.state import amending
from geoengine.state.base import Card, State

# What the names of cards begin with -> what the card is, and how it is kept.
KINDS: Final[dict[str, tuple[str, type[Struct]]]] = {
    "pass": ("passes", Held),
    "coupon": ("codes", Issued),
    "claim": ("claims", Claim),
    "used": ("redemptions", Use),
    "order": ("orders", Filed),
    "link": ("links", Sent),
}


async def belongings(state: State, person_id: str) -> dict[str, list[Json]]:
    """Everything that a person owns, by kind; also under the names that stand for them."""
    found: dict[str, list[Json]] = {}
    for name in await amending.names(state, person_id):
        for card in await state.cards_of(name):
            kind, told = _told(card)
            found.setdefault(kind, []).append(told)
    return found


def _told(card: Card) -> tuple[str, Json]:
    prefix = card.name.partition("/")[0]
    kind, shape = KINDS.get(prefix, (prefix, None))
    until = {"kept_until": rfc3339(card.until_ms)} if card.until_ms else {}
    if shape is not None:
        return kind, named(msgspec.msgpack.decode(card.body, type=shape)) | until
    try:
        return kind, {"held": msgspec.to_builtins(msgspec.msgpack.decode(card.body))} | until
    except msgspec.DecodeError:
        return kind, {"held": b64encode(card.body).decode()} | until


def named(what: Struct) -> Json:
    """A struct by the names of its fields, all the way down; milliseconds as times.

    >>> named(Claim("spring", 3, "K7QW"))
    {'pool_id': 'spring', 'chunk': 3, 'code': 'K7QW'}
    """
    told: Json = {}
    for name in what.__struct_fields__:
        value = getattr(what, name)
        if name.endswith("_ms"):
            told[name.removesuffix("_ms")] = _time(value)
        else:
            told[name.removeprefix("is_")] = _plain(value)
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return named(value)
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _time(at_ms: int | list[int]) -> str | list[str] | None:
    if isinstance(at_ms, list):
        return [rfc3339(each) for each in at_ms]
    return rfc3339(at_ms) if at_ms > 0 else None
