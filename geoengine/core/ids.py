"""Names that come out the same whenever the same thing is worked out again.

They are part of the contract: retries, restarts and replays find what they said before by name.
"""

from __future__ import annotations

from hashlib import blake2b

BETWEEN = "\x1f"  # stands between the parts of a name; ASCII's unit separator, in no id
_BLANK = blake2b(digest_size=12)


def digest(*parts: object) -> str:
    """24 hexadecimal digits (96 bits) of the parts; no two different lists of parts share text.

    >>> digest("a", 1) == digest("a", 1), digest("ab", "c") == digest("a", "bc")
    (True, False)
    """
    return _ANY.of(BETWEEN.join([part if type(part) is str else str(part) for part in parts]))


class Names:
    """Digests that begin with the same parts, which are hashed once.

    >>> Names("zone.entered").of(f"visit{BETWEEN}7") == digest("zone.entered", "visit", 7)
    True
    """

    __slots__ = ("_begun",)

    def __init__(self, *first: str) -> None:
        self._begun = _BLANK.copy()
        for part in first:
            self._begun.update((part + BETWEEN).encode())

    def of(self, rest: str) -> str:
        """The digest that goes on with these parts, `BETWEEN` between them."""
        hashed = self._begun.copy()
        try:
            hashed.update(rest.encode())
        except UnicodeEncodeError:  # half a surrogate pair, as JSON may carry in a device's id
            hashed.update(rest.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()


_ANY = Names()


def touch_key(kind: str, code: str) -> tuple[str, int, int]:
    """The key of a code that is tapped, scanned or heard, among those of beacons; no uuid has its
    length.

    >>> touch_key("qr", "till 7")[1:]
    (0, 0)
    """
    return digest("touch", kind, code), 0, 0


def share_of(*parts: object) -> float:
    """A number from 0 up to 1, evenly spread over different parts; decides hold-outs."""
    return int(digest(*parts)[:13], 16) / 16**13
