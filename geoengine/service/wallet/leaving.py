"""A pass that was thrown away: with the last one goes the consent."""

from __future__ import annotations

from collections.abc import Collection

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


async def phones_gone(context: Context, person_id: str, tokens: Collection[str]) -> None:
    """Apple says of some of the phones that had a person's pass that they have it no more."""
    (owner,) = await context.state.owners([person_id])
    record = (await context.state.load([owner])).get(owner)
    address = "" if record is None else record.addresses.get("wallet", "")
    for wallet, serial in wallets_of(address):
        if wallet == APPLE and await drop_phones(context, serial, tokens):
            await left(context, APPLE, serial, owner, {"source": "wallet:token_dead"})


async def drop_phones(context: Context, serial: str, tokens: Collection[str]) -> bool:
    """Forget the phones that a pass was pushed to by these; whether they were the last."""
    one = await holding.held(context.state, serial)
    if one is None or not tokens:
        return False
    keys, after = await holding.keys_of(context.state), one
    for phone in [phone for phone, token in one.phones.items() if token in tokens]:
        after = await holding.unregister(context.state, keys, serial, phone, context.clock()) or one
    return bool(one.phones) and not after.phones
