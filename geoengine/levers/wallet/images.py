"""The images of a pass: the operator's, or an icon of our own where there is none.

Apple's Wallet refuses a pass without an icon. Ours is a disc with a hole, in the pass's colour.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

_NAMES: Final = ("icon", "logo", "strip", "thumbnail", "background", "footer")
NAMES: Final = tuple(f"{name}{scale}.png" for name in _NAMES for scale in ("", "@2x", "@3x"))
ICON_PX: Final = 29  # Apple's size of an icon in points
FILE_MAX_BYTES: Final = 2 << 20  # a pass goes over the air to each phone, whenever it changes
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class ImageError(ValueError):
    """An image that cannot be used; the text says which and why."""


def images_in(folder: Path | None, colour: tuple[int, int, int]) -> dict[str, bytes]:
    """The images of a folder by their names in a pass; an icon is always there.

    Raises `ImageError` for a folder that cannot be read and for a file that is no PNG.
    """
    found = {} if folder is None else _read(folder)
    if "icon.png" not in found:
        sizes = {"icon.png": 1, "icon@2x.png": 2, "icon@3x.png": 3}
        found |= {name: disc(ICON_PX * scale, colour) for name, scale in sizes.items()}
    return found


def _read(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise ImageError(f"{folder} is no folder")
    found = {name: (folder / name).read_bytes() for name in NAMES if (folder / name).is_file()}
    for name, data in found.items():
        if not data.startswith(_PNG):
            raise ImageError(f"{folder / name} is no PNG")
        if len(data) > FILE_MAX_BYTES:
            raise ImageError(f"{folder / name} has over {FILE_MAX_BYTES >> 20} MB")
    return found


@lru_cache(maxsize=16)
def disc(size_px: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG of a disc with a hole, on nothing."""
    middle = (size_px - 1) / 2
    rows = bytearray()
    for y in range(size_px):
        rows.append(0)  # no filter
        for x in range(size_px):
            far = ((x - middle) ** 2 + (y - middle) ** 2) ** 0.5 / (size_px / 2)
            rows += bytes((*colour, 255 if 0.4 < far < 0.95 else 0))
    return _png(size_px, bytes(rows))


def _png(size_px: int, rows: bytes) -> bytes:
    """An RGBA picture; PNG (ISO/IEC 15948) with the three chunks that must be there."""
    head = struct.pack(">IIBBBBB", size_px, size_px, 8, 6, 0, 0, 0)
    chunks: Mapping[bytes, bytes] = {b"IHDR": head, b"IDAT": zlib.compress(rows, 9), b"IEND": b""}
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )
