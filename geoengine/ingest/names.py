"""What may be the id of a device, a person or a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NAME_MAX: Final = 128  # characters; ids are keys in memory, on disk and in logs


def is_name(text: str) -> bool:
    """Whether a text may be an id: 1 to 128 printable characters.

    >>> is_name("phone-1"), is_name(""), is_name("a\\x00b")
    (True, False, False)
    """
    return 0 < len(text) <= NAME_MAX and text.isprintable()


def are_names(texts: Sequence[str]) -> bool:
    """Whether all of the texts may be ids; one pass over the characters of all together."""
    lengths = set(map(len, texts))
    return not lengths or (
        min(lengths) > 0 and max(lengths) <= NAME_MAX and "".join(texts).isprintable()
    )
