"""Sequences that lie packed in columns; a row becomes an object when somebody asks for it.

A million stores as objects take half a gigabyte, and as long to let go of as to make; a service
meets a few thousand of them. Packed they are two arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Generic, TypeVar, overload

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from geoengine.core.columns import Ints, Longs

S = TypeVar("S", bound=Struct)
T = TypeVar("T")
Bytes = NDArray[np.uint8]
KEPT_MAX = 65_536  # unpacked structs, the latest asked for; 40 MB of stores
JOINED_AT_ONCE = 20_000  # so many lie packed one by one before they are joined


class Rows(Sequence[T]):
    """Rows made by a function of their position: what all packed sequences share."""

    def __init__(self, count: int, row: Callable[[int], T]) -> None:
        self._count = range(count)
        self._row = row

    def __len__(self) -> int:
        return len(self._count)

    @overload
    def __getitem__(self, ix: int) -> T: ...
    @overload
    def __getitem__(self, ix: slice) -> list[T]: ...
    def __getitem__(self, ix: int | slice) -> T | list[T]:
        if isinstance(ix, slice):
            return [self._row(at) for at in self._count[ix]]
        return self._row(ix if ix >= 0 else self._count[ix])


class Structs(Rows[S], Generic[S]):
    """Structs of one type, each as msgpack, end to end; those asked for of late stay unpacked."""

    def __init__(self, kind: type[S], content: Bytes, ends: Longs) -> None:
        decode = msgspec.msgpack.Decoder(kind).decode
        # The cache holds no reference to this object: a Book must go when its last user does, and
        # not when the collector comes round.
        row = lru_cache(KEPT_MAX)(partial(_unpacked, decode, content.data, ends.data))
        super().__init__(len(ends), row)


class Words(Rows[str]):
    """Texts that are mostly the same few, by their place in a list of these."""

    def __init__(self, words: Sequence[str], word_ix: Ints) -> None:
        super().__init__(len(word_ix), partial(_word, words, word_ix.data))


def pack_structs(values: Iterable[Struct]) -> tuple[Bytes, Longs]:
    """Structs as msgpack, end to end, and where each ends; uint8 and int64."""
    return _joined(map(msgspec.msgpack.Encoder().encode, values))


def pack_texts(texts: Iterable[str]) -> tuple[Bytes, Longs]:
    """Texts as UTF-8, end to end, and where each ends, in bytes; uint8 and int64."""
    return _joined(text.encode() for text in texts)


def unpack_texts(content: Bytes, ends: Longs) -> list[str]:
    """The texts that were packed."""
    packed = content.tobytes()
    return [packed[a:b].decode() for a, b in pairwise([0, *ends.tolist()])]


def pack_blobs(blobs: Iterable[bytes]) -> tuple[Bytes, Longs]:
    """Bytes end to end, and where each ends; uint8 and int64."""
    return _joined(blobs)


def unpack_blobs(content: Bytes, ends: Longs) -> list[bytes]:
    """The bytes that were packed."""
    packed = content.tobytes()
    return [packed[a:b] for a, b in pairwise([0, *ends.tolist()])]


def pack_words(texts: Iterable[str]) -> tuple[list[str], Ints]:
    """The texts that differ, in order of appearance, and which of them each is; int32."""
    place: dict[str, int] = {}
    word_ix = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int32)
    return list(place), word_ix


def _joined(pieces: Iterable[bytes]) -> tuple[Bytes, Longs]:
    """End to end, a run at a time: a million pieces one by one take more room than all joined."""
    runs: list[bytes] = []
    sizes: list[NDArray[np.int64]] = []
    run: list[bytes] = []
    for piece in pieces:
        run.append(piece)
        if len(run) == JOINED_AT_ONCE:
            _join(run, runs, sizes)
    _join(run, runs, sizes)
    return np.frombuffer(b"".join(runs), np.uint8), np.cumsum(np.concatenate(sizes))


def _join(run: list[bytes], runs: list[bytes], sizes: list[NDArray[np.int64]]) -> None:
    runs.append(b"".join(run))
    sizes.append(np.fromiter(map(len, run), np.int64, len(run)))
    run.clear()


def _unpacked(decode: Callable[[Any], S], content: memoryview, ends: memoryview, ix: int) -> S:
    return decode(content[ends[ix - 1] if ix else 0 : ends[ix]])


def _word(words: Sequence[str], word_ix: memoryview, ix: int) -> str:
    return words[word_ix[ix]]
