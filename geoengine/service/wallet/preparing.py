"""Puts a message on its person's pass before the wallets are told of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from geoengine.core.book import Book
from geoengine.core.record import Record, Send
from geoengine.core.units import SECOND_MS
from geoengine.levers import said as saying
from geoengine.levers.wallet.lever import Told
from geoengine.service.sending.preparing import Prepared
from geoengine.service.wallet import holding
from geoengine.service.wallet.holding import NOTIFY_MAX, NOTIFY_MS, Held
from geoengine.service.wallet.making import places_of, said_on, stores_near
from geoengine.service.wallet.names import GOOGLE, kept_serial, wallets_of
from geoengine.state.base import State

QUOTA: Final = "notify_quota"
NO_PASS: Final = "no_pass"  # noqa: S105 - a reason


class PassWriter:
    """Writes what a trigger says on the pass; the same pass whenever it is tried again."""

    def __init__(self, state: State, book_of: Callable[[], Book]) -> None:
        self._state = state
        self._book_of = book_of

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """What the lever needs takes the place of the address."""
        if send.lever != "wallet" or send.kind != "trigger":
            return Prepared(send)
        wallets = wallets_of(record.addresses.get("wallet", ""))
        serial = kept_serial(record.addresses.get("wallet", ""))
        if not serial:
            return Prepared(send, NO_PASS)
        is_google = (GOOGLE, serial) in wallets
        one = await self._write(send, serial, is_google, now_ms)
        if one is None:
            return Prepared(send, NO_PASS)
        if one.trigger_id != send.trigger_id:
            return Prepared(send, QUOTA)
        book = self._book_of()
        places = places_of(stores_near(one, record, book), one, book)
        words = said_on(one, record)
        told = Told(serial, list(one.phones.values()), is_google, words, places)
        return Prepared(replace(send, address=msgspec.json.encode(told).decode()))

    async def _write(self, send: Send, serial: str, is_google: bool, now_ms: int) -> Held | None:
        """The pass with the message on it; as it was where Google would show no more today."""
        what = saying.said(send)
        until_ms = _ms(what.valid_until) if what.valid_until else 0

        def change(one: Held) -> Held | None:
            if one.trigger_id == send.trigger_id:
                return None  # an attempt before has written it
            lately = [ms for ms in one.notified_ms if ms > now_ms - NOTIFY_MS]
            if is_google and not one.phones and len(lately) >= NOTIFY_MAX:
                return None
            return replace(
                one,
                title=what.title,
                body=what.body,
                code=what.code,
                until_ms=until_ms,
                store_id=send.store_id,
                trigger_id=send.trigger_id,
                updated_ms=one.touched_ms(now_ms),
                notified_ms=[*lately, now_ms] if is_google else lately,
            )

        return await holding.amend(self._state, serial, change, now_ms)


def _ms(text: str) -> int:
    """An instant as the event writes it."""
    return round(datetime.fromisoformat(text).timestamp() * SECOND_MS)
