"""Names that come out the same whenever the same thing is worked out again."""

from __future__ import annotations

from hashlib import blake2b


def digest(*parts: object) -> str:
    """24 hexadecimal digits (96 bits) of the parts; no two different lists of parts share text.

    >>> digest("a", 1) == digest("a", 1), digest("ab", "c") == digest("a", "bc")
    (True, False)
    """
    text = "\x1f".join(map(str, parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def share_of(*parts: object) -> float:
    """A number from 0 up to 1, evenly spread over different parts; decides hold-outs."""
    return int(digest(*parts)[:13], 16) / 16**13
