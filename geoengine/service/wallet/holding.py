"""What is kept of a pass: whose it is, what it says, which phones have it.

A pass goes by a serial number that names nobody: a keyed hash of its holder. What its phones show
with each request is another. Both come out the same when they are worked out again, so that a pass
need not be kept to be recognised. The key is made once and kept in the state: with another one all
passes in people's wallets would be strangers.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from geoengine.core.record import Record
from geoengine.core.units import SECOND_MS
from geoengine.service.wallet.names import kept_serial
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State

KEY_NOTE: Final = "wallet_key"
PASSES: Final = "pass/"
PHONES: Final = "passphone/"
PHONES_MAX: Final = 20  # that have one pass; somebody who shares theirs with a town has copied it
PASSES_MAX: Final = 200  # that one phone tells us of
NOTIFY_MAX, NOTIFY_MS = 3, 86_400_000  # Google shows at most so many notices of a pass in a day
_KEY_BYTES: Final = 32
_SERIAL_BYTES: Final = 16
_SEAL_BYTES: Final = 12


class Held(Struct, array_like=True, omit_defaults=True):
    """A pass as it is by now."""

    person_id: str
    phones: dict[str, str] = {}  # a phone's name for itself -> where to push
    title: str = ""
    body: str = ""
    code: str = ""
    until_ms: int = 0  # of the code
    store_id: str = ""  # near which the last message was
    trigger_id: str = ""  # the last message's
    updated_ms: int = 0
    is_void: bool = False
    notified_ms: list[int] = []  # when Google was asked to show a notice, lately
    google_said_ms: int = (
        0  # when the latest of Google's words about it that counts would have expired
    )

    def touched_ms(self, now_ms: int) -> int:
        """When it is changed now: never twice in a second, which is as fine as HTTP's dates are."""
        return max(now_ms, (self.updated_ms // SECOND_MS + 1) * SECOND_MS)


class Keys:
    """Names and proofs of passes, with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def serial(self, person_id: str) -> str:
        """The serial number of a person's pass."""
        return self._hash(b"serial", person_id, _SERIAL_BYTES)

    def token(self, serial: str) -> str:
        """What a phone shows for a pass: Apple wants 16 characters at the least."""
        return self._hash(b"token", serial, 2 * _SERIAL_BYTES)

    def phone(self, name: str) -> str:
        """A phone's name, so that it tells nothing."""
        return self._hash(b"phone", name, _SERIAL_BYTES)

    def link(self, serial: str) -> str:
        """What stands at the end of the link to a pass."""
        return serial + self._hash(b"link", serial, _SEAL_BYTES)

    def opened(self, link: str) -> str:
        """The serial number of a link; "" for one that we did not make."""
        serial = link[: 2 * _SERIAL_BYTES]
        is_ours = hmac.compare_digest(self.link(serial).encode(), link.encode("utf-8", "replace"))
        return serial if is_ours else ""

    def is_token(self, serial: str, shown: str) -> bool:
        """Whether this is what the pass's phones show; how long it takes tells nothing."""
        return hmac.compare_digest(self.token(serial).encode(), shown.encode("utf-8", "replace"))

    def _hash(self, what: bytes, text: str, size: int) -> str:
        hashed = blake2b(key=self._key, person=what, digest_size=size)
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()


async def keys_of(state: State) -> Keys:
    """The keys of this state; of several processes that start at once all take the same."""
    key = await state.noted(KEY_NOTE)
    if key is None:
        key = await state.note(KEY_NOTE, os.urandom(_KEY_BYTES), is_first=True)
    return Keys(key)


async def held(state: State, serial: str) -> Held | None:
    """A pass; None for one that was never handed out, or whose holder was erased."""
    card = (await state.cards([PASSES + serial])).get(PASSES + serial)
    return None if card is None else _unpacked(card.body)


async def amend(
    state: State, serial: str, change: Callable[[Held], Held | None], now_ms: int
) -> Held | None:
    """Change a pass that there is; None where there is none. ``change`` must be repeatable."""

    def changed(card: Card) -> Card | None:
        if not card.body:
            return None
        after = change(_unpacked(card.body))
        return None if after is None else msgspec.structs.replace(card, body=_pack(after))

    card = await amend_card(state, PASSES + serial, changed, now_ms)
    return _unpacked(card.body) if card.body else None


async def hand_out(state: State, serial: str, person_id: str, now_ms: int) -> Held:
    """A person's pass, made where there is none yet, and good again where it had ended."""

    def changed(card: Card) -> Card | None:
        before = _unpacked(card.body) if card.body else Held(person_id, updated_ms=now_ms)
        if card.body and not before.is_void:
            return None
        if before.is_void:
            before = replace(before, is_void=False, updated_ms=before.touched_ms(now_ms))
        return msgspec.structs.replace(card, body=_pack(before), owner=person_id)

    return _unpacked((await amend_card(state, PASSES + serial, changed, now_ms)).body)


async def pass_of(state: State, keys: Keys, record: Record, now_ms: int) -> tuple[str, Held]:
    """The one pass of a person, with its serial number: that in their wallets, else one of their
    name.
    """
    kept = kept_serial(record.addresses.get("wallet", ""))
    serial = kept or keys.serial(record.person_id)
    return serial, await hand_out(state, serial, record.person_id, now_ms)


# --- phones -------------------------------------------------------------------------------------


async def register(
    state: State, keys: Keys, serial: str, phone: str, push_token: str, now_ms: int
) -> bool | None:
    """A phone has the pass; whether it is new to us, None where there is no such pass."""
    is_new, dropped = False, list[str]()

    def change(one: Held) -> Held | None:
        nonlocal is_new, dropped
        is_new, dropped = phone not in one.phones, []
        if one.phones.get(phone) == push_token:
            return None
        others = [(name, token) for name, token in one.phones.items() if name != phone]
        dropped = [name for name, _ in others[: -(PHONES_MAX - 1)]]
        return replace(one, phones=dict(others[-(PHONES_MAX - 1) :]) | {phone: push_token})

    if await amend(state, serial, change, now_ms) is None:
        return None
    await _list(state, keys, phone, lambda names: [*names, serial], now_ms)
    for name in dropped:
        await _unlist(state, keys, serial, name, now_ms)
    return is_new


async def unregister(state: State, keys: Keys, serial: str, phone: str, now_ms: int) -> Held | None:
    """A phone has the pass no more; the pass as it is then."""

    def change(one: Held) -> Held | None:
        left = {name: token for name, token in one.phones.items() if name != phone}
        return None if len(left) == len(one.phones) else replace(one, phones=left)

    left = await amend(state, serial, change, now_ms)
    await _unlist(state, keys, serial, phone, now_ms)
    return left


async def forget_phones(state: State, serial: str, now_ms: int) -> None:
    """No phone has the pass any more; and none is known by it."""
    one = await held(state, serial)
    if one is not None and one.phones:
        keys = await keys_of(state)
        for phone in one.phones:
            await unregister(state, keys, serial, phone, now_ms)


async def forget_passes(state: State, owner: str, now_ms: int) -> None:
    """What phones' cards say of somebody's passes goes with them: a phone is nobody's."""
    for card in await state.cards_of(owner):
        if card.name.startswith(PASSES):
            await forget_phones(state, card.name.removeprefix(PASSES), now_ms)


async def passes_of(state: State, keys: Keys, phone: str) -> list[str]:
    """The serial numbers of the passes on a phone."""
    name = PHONES + keys.phone(phone)
    card = (await state.cards([name])).get(name)
    return [] if card is None else _names(card.body)


async def _unlist(state: State, keys: Keys, serial: str, phone: str, now_ms: int) -> None:
    await _list(state, keys, phone, lambda names: [n for n in names if n != serial], now_ms)


async def _list(
    state: State, keys: Keys, phone: str, change: Callable[[list[str]], list[str]], now_ms: int
) -> None:
    def changed(card: Card) -> Card | None:
        before = _names(card.body)
        after = list(dict.fromkeys(change(before)))[-PASSES_MAX:]
        if after == before:
            return None
        return msgspec.structs.replace(card, body=msgspec.msgpack.encode(after) if after else b"")

    await amend_card(state, PHONES + keys.phone(phone), changed, now_ms)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Held).decode
_unpack_names = msgspec.msgpack.Decoder(list[str]).decode


def _unpacked(body: bytes) -> Held:
    return _unpack(body)


def _names(body: bytes) -> list[str]:
    return _unpack_names(body) if body else []
