"""A pass that was thrown away: with the last one goes the consent."""

from __future__ import annotations

from geoengine.core.record import Json
from geoengine.service.consent.withdrawing import take_back
from geoengine.service.context import Context
from geoengine.service.wallet import holding
from geoengine.service.wallet.names import APPLE, wallets_of, without_wallet
from geoengine.state import amending


async def left(context: Context, wallet: str, serial: str, person_id: str, told: Json) -> None:
    """Nobody has the pass in this wallet any more. Once this returns, and it was the last wallet,
    no message starts that needed the consent.
    """
    (owner,) = await context.state.owners([person_id])
    change, now_ms = without_wallet(wallet, serial), context.clock()
    await amending.amend(context.state, context.book, owner, change, now_ms)
    record = (await context.state.load([owner])).get(owner)
    if record is not None and not record.addresses.get("wallet") and record.allows("wallet"):
        await take_back(context, owner, "wallet", told)


async def thrown_away(context: Context, person_id: str) -> None:
    """Apple says of every phone that had a person's pass that it has it no more."""
    (owner,) = await context.state.owners([person_id])
    record = (await context.state.load([owner])).get(owner)
    address = "" if record is None else record.addresses.get("wallet", "")
    for wallet, serial in wallets_of(address):
        if wallet == APPLE:
            await holding.forget_phones(context.state, serial, context.clock())
            await left(context, APPLE, serial, owner, {"source": "wallet:token_dead"})
