"""What may be the id of a device, a person or a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

NAME_MAX: Final = 128  # characters; ids are keys in memory, on disk and in logs
_MANY: Final = 256  # from so many on, an array of their letters pays for itself


def is_name(text: str) -> bool:
    """Whether a text may be an id: 1 to 128 printable characters.

    >>> is_name("phone-1"), is_name(""), is_name("a\\x00b")
    (True, False, False)
    """
    return 0 < len(text) <= NAME_MAX and text.isprintable()


def are_names(texts: Sequence[str]) -> bool:
    """Whether all of the texts may be ids; one pass over the characters of all together.

    Raises `TypeError` where one of them is no text.
    """
    if len(texts) >= _MANY and (joined := "\n".join(texts)).isascii():
        return _are_lines(joined, len(texts))
    lengths = set(map(len, texts))
    return not lengths or (
        min(lengths) > 0 and max(lengths) <= NAME_MAX and "".join(texts).isprintable()
    )


def _are_lines(joined: str, count: int) -> bool:
    """Whether so many names, a line end between two, are all there is in this ASCII text."""
    letters = np.frombuffer(joined.encode("ascii"), np.uint8)
    ends = np.flatnonzero((letters < 0x20) | (letters == 0x7F))  # whatever does not print
    widths = np.diff(ends, prepend=-1, append=len(letters)) - 1
    return len(ends) == count - 1 and bool(widths.min() > 0 and widths.max() <= NAME_MAX)
