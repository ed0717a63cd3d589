"""What Google says of a pass, acted upon once and in its order.

Google says each thing at least once, not always in order, and signs with it until when it counts.
That time also tells which of two things about one object came later. What was heard is noted after
it was acted upon: cut short, it is acted upon again, which changes nothing more.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from geoengine.core.errors import StateConflict
from geoengine.core.ids import digest
from geoengine.core.record import Json
from geoengine.service.consent.withdrawing import take_back
from geoengine.service.context import Context
from geoengine.service.wallet import holding
from geoengine.service.wallet.holding import Held
from geoengine.service.wallet.leaving import left
from geoengine.service.wallet.names import GOOGLE, wallets_of, with_wallet, without_wallet
from geoengine.service.wallet.signed import Event
from geoengine.state import amending
from geoengine.state.base import Card

_HEARD: Final = "heard/"  # a card each, until it would not count any more anyway
_REMOVED: Final[Json] = {"source": "wallet:removed"}


async def hear(context: Context, serial: str, event: Event) -> None:
    """Act upon it; once this returns after a deletion, nothing starts that needed the consent."""
    name = _HEARD + digest("google", event.nonce)
    if await context.state.cards([name]):
        return
    if event.eventType == "save":
        await _saved(context, serial, event.until_ms)
    elif event.eventType == "del":
        await _deleted(context, serial, event.until_ms)
    with suppress(StateConflict):  # the same, heard twice at once
        await context.state.put_card(Card(name, b"1", until_ms=event.until_ms), context.clock())


async def _saved(context: Context, serial: str, until_ms: int) -> None:
    one = await _in_order(context, serial, until_ms)
    if one is None or one.google_said_ms > until_ms:
        return
    state, book, now_ms = context.state, context.book, context.clock()
    (owner,) = await state.owners([one.person_id])
    await amending.amend(state, book, owner, with_wallet(GOOGLE, serial), now_ms)
    again = await holding.held(state, serial)
    if again is None or again.google_said_ms > until_ms:  # deleted, while this was written down
        await amending.amend(state, book, owner, without_wallet(GOOGLE, serial), now_ms)


async def _deleted(context: Context, serial: str, until_ms: int) -> None:
    one = await _in_order(context, serial, until_ms)
    if one is None:
        return
    (owner,) = await context.state.owners([one.person_id])
    if one.google_said_ms == until_ms:
        await left(context, GOOGLE, serial, owner, _REMOVED)
    else:
        await _had_left(context, owner)


async def _had_left(context: Context, owner: str) -> None:
    """It was saved again since: the pass is there, and the consent that went with it is not."""
    record = (await context.state.load([owner])).get(owner)
    if record is None or not record.allows("wallet"):
        return
    wallets = {wallet for wallet, _ in wallets_of(record.addresses.get("wallet", ""))}
    if wallets <= {GOOGLE}:
        await take_back(context, owner, "wallet", _REMOVED)


async def _in_order(context: Context, serial: str, until_ms: int) -> Held | None:
    """The pass, with the time of the latest that was said of it; None where there is no pass."""

    def change(one: Held) -> Held | None:
        return None if one.google_said_ms >= until_ms else replace(one, google_said_ms=until_ms)

    return await holding.amend(context.state, serial, change, context.clock())
