"""Overwrites what SQLite leaves behind in pages it has rearranged.

``secure_delete`` overwrites rows that are deleted. But a page whose rows were moved to a neighbour
keeps their old bytes in its unused middle (measured: after 40 erasures amid 1,500 rewrites, one
file in three still held a few copies). An erased person must not be found in the file, so the
middle of every page is blanked. ``VACUUM`` would do it too, but writes the whole file three times.

The file must be closed: the bytes change under SQLite, though only bytes that it never reads.
Format: https://sqlite.org/fileformat2.html#b_tree_pages
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PAGES_AT_A_TIME = 2_048
_FILE_HEADER_BYTES = 100  # ahead of the first page's own header
# First byte of a b-tree page -> length of its header. Any other first byte is another kind of page:
# those begin with a page number, which stays below these values up to 2**25 pages (137 GB).
_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
_PAGES_MAX = 2**25


def scrub(path: Path) -> int:
    """Blank the unused middle of every page of a closed database; how many pages had something."""
    scrubbed = 0
    with path.open("r+b") as file:
        head = file.read(_FILE_HEADER_BYTES)
        page_bytes = int.from_bytes(head[16:18]) or 65_536
        page_count = path.stat().st_size // page_bytes
        assert page_count < _PAGES_MAX
        for first in range(0, page_count, _PAGES_AT_A_TIME):
            file.seek(first * page_bytes)
            raw = file.read(_PAGES_AT_A_TIME * page_bytes)
            pages = np.frombuffer(raw, np.uint8).reshape(-1, page_bytes)
            for ix, start, stop in _littered(pages, first):
                os.pwrite(file.fileno(), bytes(stop - start), (first + ix) * page_bytes + start)
                scrubbed += 1
        os.fsync(file.fileno())
    return scrubbed


def _littered(pages: NDArray[np.uint8], first: int) -> list[tuple[int, int, int]]:
    """Pages whose middle is not blank: position among ``pages``, shape (N, page_bytes), and the
    range of bytes to blank.
    """
    found = []
    for ix, page in enumerate(pages):
        offset = _FILE_HEADER_BYTES if first + ix == 0 else 0
        header_bytes = _HEADER_BYTES.get(int(page[offset]))
        if header_bytes is None:
            continue
        cells = int(page[offset + 3]) << 8 | int(page[offset + 4])
        start = offset + header_bytes + 2 * cells
        stop = (int(page[offset + 5]) << 8 | int(page[offset + 6])) or 65_536
        if page[start:stop].any():
            found.append((ix, start, stop))
    return found
