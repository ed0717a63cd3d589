"""What a Book takes over from the one before it, also over a restart.

Since when each zone has had its shape: somebody inside a zone that is new did not walk in. And the
secret behind unique coupon codes: made once, so that a code comes out the same when it is worked
out again.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from typing import Final

import msgspec

from geoengine.core.book import Book
from geoengine.state.base import State

BIRTHS: Final = "zone_births"
COUPON_KEY: Final = "coupon_key"
_KEY_BYTES: Final = 32
_Births = dict[str, tuple[int, int]]


async def inherit(state: State, book: Book, now_ms: int) -> tuple[Book, bool]:
    """The Book of a start, with what an earlier one left in the state, and whether zones went.

    Where there was none, every zone counts as always there.
    """
    packed = await state.noted(BIRTHS)
    births: _Births = {}
    if packed is not None:
        births = msgspec.msgpack.decode(zlib.decompress(packed), type=_Births)
        book = book.succeeding(births, now_ms)
    return replace(book, coupon_key=await _coupon_key(state)), book.loses(births)


async def leave(state: State, book: Book) -> None:
    """Put down what a later start will ask for."""
    await state.note(BIRTHS, zlib.compress(msgspec.msgpack.encode(book.births()), level=1))


async def _coupon_key(state: State) -> bytes:
    key = await state.noted(COUPON_KEY)
    if key is None:
        key = os.urandom(_KEY_BYTES)
        await state.note(COUPON_KEY, key)
    return key
