"""Codes as pictures that a till can read: QR and linear barcodes, as SVG or PNG.

Black on white with its quiet zone, nothing else: what is added makes it harder to read.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Final, Literal

import segno

from geoengine.service.coupons.bars import code128, ean13

Symbology = Literal["qr", "voucher", "code128", "ean13"]
Format = Literal["svg", "png"]
TYPES: Final[dict[Format, str]] = {"svg": "image/svg+xml", "png": "image/png"}

_QR_SCALE: Final = 8  # pixels a module: some 300 for a code of twelve signs, 500 for a voucher
_BAR_SCALE: Final = 3  # pixels a module; a laser needs whole ones, a phone's screen has room for it
_BAR_HEIGHT: Final = 120  # pixels; a sixth of the width of the longest, as both standards ask
_QUIET: Final = 11  # modules of white on both sides; EAN-13 asks for 11, Code 128 for 10
_LINEAR: Final = {"code128": code128, "ean13": ean13}


def picture(text: str, symbology: Symbology, form: Format) -> bytes:
    """A text as a picture. Raises `ValueError` for a text that the symbology cannot hold."""
    draw = _LINEAR.get(symbology)
    if draw is not None:
        bars = "0" * _QUIET + draw(text) + "0" * _QUIET
        return _svg(bars) if form == "svg" else _png(bars)
    out = BytesIO()
    code = segno.make_qr(text, error="m")
    code.save(out, kind=form, scale=_QR_SCALE, light="white")
    return out.getvalue()


def _svg(bars: str) -> bytes:
    width = len(bars)
    height = _BAR_HEIGHT // _BAR_SCALE
    runs, place = [], 0
    while place < width:
        end = place
        while end < width and bars[end] == bars[place]:
            end += 1
        if bars[place] == "1":
            runs.append(f"M{place} 0h{end - place}v{height}h-{end - place}z")
        place = end
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * _BAR_SCALE}" '
        f'height="{_BAR_HEIGHT}" viewBox="0 0 {width} {height}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{width}v{height}h-{width}z"/><path d="{"".join(runs)}"/></svg>'
    ).encode()


def _png(bars: str) -> bytes:
    """Grey of one bit, every row the same."""
    pixels = "".join(("1" if bar == "0" else "0") * _BAR_SCALE for bar in bars)
    width = len(pixels)
    padded = pixels.ljust(-(-width // 8) * 8, "1")
    row = b"\x00" + int(padded, 2).to_bytes(len(padded) // 8)  # no filter
    head = struct.pack(">IIBBBBB", width, _BAR_HEIGHT, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(row * _BAR_HEIGHT)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
