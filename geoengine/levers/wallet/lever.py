"""The wallet lever: what changed on a pass is told to the phones and to Google.

What the pass says was put down before (`service.wallet.preparing`); Apple's phones are told that
there is something new, and come for it. A second notice does no harm: nothing has changed by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from geoengine.core.record import Send
from geoengine.levers.base import Receipt
from geoengine.levers.wallet.face import Place, Said
from geoengine.levers.wallet.google import GoogleWallet
from geoengine.levers.web import Answered, Lost

TIMEOUT_S: Final = 15.0


class Pushing(Protocol):
    """Apple's push service, with a pass's certificate: `levers.apns.Connection`."""

    async def post(self, token: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Push to one phone. Raises `Lost` where no answer comes."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Told(Struct, array_like=True):
    """What the lever is told of a pass, in place of an address."""

    serial: str
    phones: list[str]  # where Apple pushes
    is_google: bool
    said: Said
    places: list[Place]


class WalletLever:
    """Apple's phones and Google's objects."""

    name = "wallet"
    timeout_s = TIMEOUT_S

    def __init__(
        self,
        apple: Pushing | None,
        pass_type: str,
        google: GoogleWallet | None,
        cannot: str = "",
    ) -> None:
        self.cannot = cannot
        self._apple = apple
        self._pass_type = pass_type
        self._google = google

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Tell each wallet; delivered where one of them has it."""
        try:
            told = msgspec.json.decode(send.address, type=Told)
        except msgspec.DecodeError:
            return Receipt("refused", "no_pass", has_left=False)
        receipts = []
        if self._apple is not None:
            receipts += [
                await self._push(self._apple, token, send, now_ms) for token in told.phones
            ]
        dead = dead_of(told, receipts)
        if told.is_google and self._google is not None:
            receipts.append(
                await self._google.tell(told.serial, send.send_id, told.said, told.places, now_ms)
            )
        if not receipts:
            return Receipt("refused", "no_pass", has_left=False)
        return replace(best(receipts), dead=dead)

    async def renew(self, told: Told, *, is_void: bool, now_ms: int) -> Receipt:
        """Have the wallets look at a pass anew, or end it; delivered once all of them know."""
        receipts = []
        if self._apple is not None:
            headers = {"apns-topic": self._pass_type}
            receipts += [
                await self._poke(self._apple, token, headers, now_ms) for token in told.phones
            ]
        dead = dead_of(told, receipts)
        if told.is_google and self._google is not None:
            if is_void:
                receipts.append(await self._google.expire(told.serial, told.said, now_ms))
            else:
                receipts.append(
                    await self._google.renew(told.serial, told.said, told.places, now_ms)
                )
        worst = next((one for one in receipts if one.status == "retry"), Receipt("delivered"))
        return replace(worst, dead=dead)

    async def close(self) -> None:
        """Close the connections."""
        if self._apple is not None:
            await self._apple.close()
        if self._google is not None:
            await self._google.close()

    async def _push(self, apple: Pushing, token: str, send: Send, now_ms: int) -> Receipt:
        """Tell one phone that its pass has changed, which Apple wants said by saying nothing."""
        from geoengine.levers.apns import apns_id  # with the connection it is there

        headers = {"apns-topic": self._pass_type, "apns-id": apns_id(f"{send.send_id} {token}")}
        return await self._poke(apple, token, headers, now_ms)

    async def _poke(
        self, apple: Pushing, token: str, headers: Mapping[str, str], now_ms: int
    ) -> Receipt:
        from geoengine.levers.apns import receipt_of

        try:
            return receipt_of(await apple.post(token, headers, b"{}"), now_ms)
        except Lost as lost:
            return lost.receipt(is_repeatable=True)


def dead_of(told: Told, receipts: list[Receipt]) -> tuple[str, ...]:
    """The phones of which Apple says that they have the pass no more."""
    pairs = zip(told.phones, receipts, strict=False)
    return tuple(token for token, receipt in pairs if receipt.status == "gone")


_RANKS: Final = ("delivered", "retry", "ambiguous", "refused", "gone")


def best(receipts: list[Receipt]) -> Receipt:
    """Of several wallets' receipts the one that counts: one that has it is enough; one that may
    have it yet is worth another try, and all wait before one phone does; gone are all or none.
    """
    return min(receipts, key=lambda one: (_RANKS.index(one.status), one.is_of_one))
