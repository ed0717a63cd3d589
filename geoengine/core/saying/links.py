"""Short links: ``PUBLIC_URL/r/TOKEN`` stands for a call to action, and tells that it was clicked.

A token is 27 bytes in 36 signs: what the link does (one byte: kind, and mode of travel), the
trigger (12), a mark of its store (6), and a seal over all of it (8). It names nobody; and it holds
no address either, so it can lead nowhere but where the catalogue's stores lead, or where the
retailer's own basket does: there is no open redirect to abuse. Who has no key makes no token: at a
thousand guesses a second, half of 2**64 take 300 million years.

The seal is checked before anything is looked up. Marks of two stores meet once in 500 catalogues of
a million stores.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

from geoengine.core.model import Mode

KINDS: Final = ("directions", "call", "web", "app", "basket")  # only ever added to
_MODES: Final[tuple[Mode | None, ...]] = (None, "walk", "drive", "bike", "transit")
_KIND_BITS: Final = 4
TRIGGER_BYTES: Final = 12  # a trigger's name is 24 hexadecimal digits
MARK_BYTES: Final = 6
SEAL_BYTES: Final = 8
TOKEN_BYTES: Final = 1 + TRIGGER_BYTES + MARK_BYTES + SEAL_BYTES
PATH: Final = "/r/"


class Link(NamedTuple):
    """What a token says."""

    kind: str
    mode: Mode | None
    trigger_id: str
    mark: bytes  # of the store


def token(key: bytes, kind: str, mode: Mode | None, trigger_id: str, store_id: str) -> str:
    """The token of one call to action of one trigger."""
    what = KINDS.index(kind) | _MODES.index(mode) << _KIND_BITS
    said = bytes([what]) + bytes.fromhex(trigger_id) + mark_of(store_id)
    return urlsafe_b64encode(said + seal(key, said)).decode()


def length_of(public_url: str) -> int:
    """How many signs a short link takes.

    >>> length_of("https://geo.example/")
    58
    """
    return len(public_url.rstrip("/")) + len(PATH) + TOKEN_BYTES * 4 // 3


def seal(key: bytes, said: bytes) -> bytes:
    """What only the holder of the key can put under it."""
    return blake2b(said, key=key[:64], person=b"link", digest_size=SEAL_BYTES).digest()


def mark_of(store_id: str) -> bytes:
    """What stands for a store in a token."""
    return blake2b(store_id.encode(), person=b"store", digest_size=MARK_BYTES).digest()


def said_in(raw: bytes) -> Link | None:
    """What a token whose seal has been checked says; None for kinds of another version."""
    kind_ix, mode_ix = raw[0] & (1 << _KIND_BITS) - 1, raw[0] >> _KIND_BITS
    if len(raw) != TOKEN_BYTES or kind_ix >= len(KINDS) or mode_ix >= len(_MODES):
        return None
    trigger, mark = raw[1 : 1 + TRIGGER_BYTES], raw[1 + TRIGGER_BYTES : -SEAL_BYTES]
    return Link(KINDS[kind_ix], _MODES[mode_ix], trigger.hex(), mark)


def links_of(
    public_url: str, key: bytes, mode: Mode | None, trigger_id: str, store_id: str
) -> dict[str, str]:
    """The short link of every call to action of one trigger."""
    base = public_url.rstrip("/") + PATH
    return {kind: base + token(key, kind, mode, trigger_id, store_id) for kind in KINDS}
