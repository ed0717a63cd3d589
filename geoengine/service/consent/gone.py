"""What providers tell of addresses when a message could not reach them: acted upon, once and for
all, so that nobody is tried again who is not there or has said no.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.errors import StateError
from geoengine.core.record import Record, Send
from geoengine.core.telling import staff
from geoengine.levers.base import Receipt
from geoengine.service.consent.suppression import ADDRESSED
from geoengine.service.context import Context
from geoengine.service.logs import logger
from geoengine.service.sending.rosters import forget_address
from geoengine.service.wallet.leaving import phones_gone, thrown_away
from geoengine.state import amending
from geoengine.state.amending import Amended

OPTED_OUT: Final = "opted_out"  # the provider says that this address said STOP
TOKEN_DEAD: Final = "token_dead"  # noqa: S105 - the app was removed, or the pass
_LOG = logger("gone")


async def gone(context: Context, send: Send, receipt: Receipt) -> None:
    """Act upon a receipt ``gone``, or one of several addresses some of which are. Does not raise:
    the next message says the same again.

    ``opted_out`` suppresses the address. ``token_dead`` drops a push token, and with the last of
    somebody's tokens their consent: who removes the app has said no. Of a store's device it drops
    the device. Anything else drops the address, which reaches nobody.
    """
    is_staffs = send.lever == staff.LEVER
    if (send.kind == "event" and not is_staffs) or not send.address:
        return
    reason = receipt.reason.partition(":")[0]
    try:
        if is_staffs:
            where, now_ms = (send.store_id, send.address), context.clock()
            await forget_address(context.state, *where, now_ms, receipt.since_ms)
        elif reason == OPTED_OUT and send.lever in ADDRESSED:
            told = {"source": f"{send.lever}:provider"}
            await context.suppression.stop(send.lever, send.address, told)
        elif send.lever == "push":
            await _drop_token(context, send, receipt.since_ms)
        elif send.lever == "wallet" and receipt.status == "gone":
            await thrown_away(context, send.person_id)
        elif send.lever == "wallet":
            await phones_gone(context, send.person_id, receipt.dead)
        elif send.lever in ADDRESSED:
            await drop_address(context, send.person_id, send.lever, send.address)
    except StateError as error:
        _LOG.warning("postponed", lever=send.lever, why=str(error))


async def _drop_token(context: Context, send: Send, since_ms: int) -> None:
    """Drop the token that was pushed to, and no other; nor one that was registered again since."""
    now_ms, left = context.clock(), True

    def change(record: Record) -> Amended:
        nonlocal left
        dead = [
            device_id
            for device_id, token in record.push_tokens.items()
            if ":".join(token) == send.address
            and not 0 < since_ms < record.push_since_ms.get(device_id, 0)
        ]
        for device_id in dead:
            record.drop_push(device_id)
        left = bool(record.push_tokens) or not dead
        return Amended(is_nothing=not dead)

    state, book, person_id = context.state, context.book, send.person_id
    await amending.amend(state, book, person_id, change, now_ms)
    if not left:
        told = {"source": f"push:{TOKEN_DEAD}"}
        done = await amending.withdraw(
            state, book, person_id, "push", told, now_ms, only_if=lambda r: not r.push_tokens
        )
        context.hub.publish(done.events)


async def drop_address(context: Context, person_id: str, lever: str, address: str) -> None:
    """Forget an address that reaches nobody, if it is still this person's."""

    def change(record: Record) -> Amended:
        is_same = record.addresses.get(lever) == address
        if is_same:
            del record.addresses[lever]
        return Amended(is_nothing=not is_same)

    state, book, now_ms = context.state, context.book, context.clock()
    await amending.amend(state, book, person_id, change, now_ms)
    await context.suppression.forget(person_id, lever, address)
