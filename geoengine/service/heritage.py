"""What a Book takes over from the one before it, also over a restart.

Since when each zone has had its shape: somebody inside a zone that is new did not walk in. And the
secret behind unique coupon codes: made once, so that a code comes out the same when it is worked
out again.

All of it is worked out in a thread, for a million zones too: the loop may be serving meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.places.births import Births
from geoengine.state.base import State

BIRTHS: Final = "zone_births"
COUPON_KEY: Final = "coupon_key"
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Heir:
    """A Book ready to take over."""

    book: Book
    has_lost: bool  # a zone of the one before it is gone, or has another shape
    will: bytes  # what a later start will ask for


async def inherit(state: State, book: Book, now_ms: int) -> tuple[Book, bool]:
    """The Book of a start, with what an earlier one left in the state, and whether zones went.

    Where there was none, every zone counts as always there.
    """
    packed = await state.noted(BIRTHS)
    births = None if packed is None else _unpacked(packed)
    book = book.keyed(await _coupon_key(state))
    found = await asyncio.to_thread(heir, book, births, now_ms)
    return found.book, found.has_lost


async def leave(state: State, book: Book) -> None:
    """Put down what a later start will ask for, unless it is there already."""
    will = await asyncio.to_thread(_packed, book.births())
    await bequeath(state, will)


async def bequeath(state: State, will: bytes) -> None:
    """Put down a will that was made out already, unless it is the one that is there."""
    if await state.noted(BIRTHS) != will:
        await state.note(BIRTHS, will)


def heir(book: Book, births: Births | None, now_ms: int) -> Heir:
    """A Book made to take over from one with these births, with nothing left to work out."""
    has_lost = births is not None and book.loses(births)
    if births is not None:
        book = book.succeeding(births, now_ms)
    book.prepare()
    return Heir(book, has_lost, _packed(book.births()))


class _Will(Struct):
    """Births as bytes: columns of int64, little-endian; times are mostly the same few."""

    marks: bytes
    born_ms_deflated: bytes


def _packed(births: Births) -> bytes:
    born_ms = zlib.compress(births.born_ms.astype("<i8").tobytes(), level=1)
    return msgspec.msgpack.encode(_Will(births.marks.astype("<i8").tobytes(), born_ms))


def _unpacked(packed: bytes) -> Births | None:
    """What was packed; none where another version packed it in its own way."""
    try:
        will = msgspec.msgpack.decode(packed, type=_Will)
    except msgspec.DecodeError:
        return None
    born_ms = zlib.decompress(will.born_ms_deflated)
    return Births(np.frombuffer(will.marks, "<i8"), np.frombuffer(born_ms, "<i8"))


async def _coupon_key(state: State) -> bytes:
    key = await state.noted(COUPON_KEY)
    if key is None:
        # Of several processes that start at once all take the same.
        key = await state.note(COUPON_KEY, os.urandom(_KEY_BYTES), is_first=True)
    return key
