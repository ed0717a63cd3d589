"""Names that come out the same whenever the same thing is worked out again.

They are part of the contract: retries, restarts and replays find what they said before by name.
"""

from __future__ import annotations

from hashlib import blake2b

BETWEEN = "\x1f"  # stands between the parts of a name; ASCII's unit separator, in no id
_BLANK = blake2b(digest_size=12)  # a copy costs a quarter of a new one


def digest(*parts: object) -> str:
    """24 hexadecimal digits (96 bits) of the parts; no two different lists of parts share text.

    >>> digest("a", 1) == digest("a", 1), digest("ab", "c") == digest("a", "bc")
    (True, False)
    """
    return digest_of(BETWEEN.join([part if type(part) is str else str(part) for part in parts]))


def digest_of(text: str) -> str:
    """The digest of parts that are already one text, `BETWEEN` between them.

    >>> digest_of(f"a{BETWEEN}1") == digest("a", 1)
    True
    """
    hashed = _BLANK.copy()
    hashed.update(text.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def share_of(*parts: object) -> float:
    """A number from 0 up to 1, evenly spread over different parts; decides hold-outs."""
    return int(digest(*parts)[:13], 16) / 16**13
