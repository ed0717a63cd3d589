"""Of two passes of one person one goes on, and the other ends and says so.

People turn out to be one person (a device signs in, two records share a loyalty number), and each
may have had a pass. The pass that the person's own record names goes on, with whichever message
came last. The other is void: Apple's phones fetch it as that, Google's object expires. What the
wallets have yet to hear is a card of its own, so that it is told however often it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from geoengine.core.consent.merging import kind_of
from geoengine.core.record import Record
from geoengine.service.context import Context
from geoengine.service.wallet import holding
from geoengine.service.wallet.holding import Held
from geoengine.service.wallet.names import APPLE, GOOGLE, kept_serial, wallets_of
from geoengine.state import amending
from geoengine.state.agreeing import amend_card
from geoengine.state.amending import Amended
from geoengine.state.base import Card

NEWS: Final = "passnews/"  # passes of which wallets have yet to hear


def others_of(record: Record) -> list[tuple[str, str]]:
    """Wallets and serial numbers of passes beside the one that goes on."""
    address = record.addresses.get("wallet", "")
    former = [value for name, value in record.identifiers.items() if kind_of(name) == "wallet"]
    kept = kept_serial(address)
    both = wallets_of(" ".join([*former, address]))
    return [(wallet, serial) for wallet, serial in dict.fromkeys(both) if serial != kept]


async def keep_one(context: Context, person_id: str) -> None:
    """End a person's other passes; done again it changes nothing more."""
    (owner,) = await context.state.owners([person_id])
    record = (await context.state.load([owner])).get(owner)
    if record is None or not (others := others_of(record)):
        return
    kept, now_ms = kept_serial(record.addresses.get("wallet", "")), context.clock()
    for serial in dict.fromkeys(serial for _, serial in others):
        wallets = [wallet for wallet, one in others if one == serial]
        await end(context, owner, serial, kept, wallets)
    await amending.amend(context.state, context.book, owner, _only(kept), now_ms)


async def end(context: Context, owner: str, serial: str, kept: str, wallets: list[str]) -> None:
    """Make a pass void; its message goes on with the pass that is kept, if it came last."""
    state, now_ms = context.state, context.clock()
    one = await holding.held(state, serial)
    if one is None:
        return
    if not one.is_void and one.trigger_id and kept:
        await holding.amend(state, kept, lambda to: _carried(to, one, now_ms), now_ms)
        await _note(context, owner, kept, [APPLE, GOOGLE])
    await holding.amend(state, serial, lambda its: _ended(its, now_ms), now_ms)
    await _note(context, owner, serial, wallets)  # last: it is told as it is found


def _ended(one: Held, now_ms: int) -> Held | None:
    if one.is_void:
        return None
    return replace(one, is_void=True, updated_ms=one.touched_ms(now_ms))


def _carried(kept: Held, other: Held, now_ms: int) -> Held | None:
    """The pass that goes on with the other's message; as it is where its own came later."""
    if kept.trigger_id and kept.updated_ms >= other.updated_ms:
        return None
    return replace(
        kept,
        title=other.title,
        body=other.body,
        code=other.code,
        until_ms=other.until_ms,
        store_id=other.store_id,
        trigger_id=other.trigger_id,
        updated_ms=kept.touched_ms(now_ms),
    )


async def _note(context: Context, owner: str, serial: str, wallets: list[str]) -> None:
    """Wallets have yet to hear of this pass."""

    def changed(card: Card) -> Card | None:
        body = msgspec.msgpack.encode(sorted({*heard_of(card), *wallets}))
        return None if body == card.body else replace(card, body=body, owner=owner)

    await amend_card(context.state, NEWS + serial, changed, context.clock())


def heard_of(card: Card) -> list[str]:
    """The wallets that have yet to hear of a card's pass."""
    return msgspec.msgpack.decode(card.body, type=list[str]) if card.body else []


def _only(kept: str) -> Callable[[Record], Amended]:
    def change(record: Record) -> Amended:
        address = record.addresses.get("wallet", "")
        if kept_serial(address) != kept:
            return Amended(is_nothing=True)  # another one by now: the next look sees to it
        for name in [one for one in record.identifiers if kind_of(one) == "wallet"]:
            del record.identifiers[name]
        names = [name for name in address.split() if name.partition(":")[2] == kept]
        if names:
            record.addresses["wallet"] = " ".join(names)
        return Amended()

    return change
