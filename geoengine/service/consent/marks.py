"""Names for people and addresses that name nobody: keyed hashes.

Who said STOP must be known again after everything else of them is erased, and what is kept for
that must not tell who it was: all phone numbers of a country are hashed in seconds, so a hash
without a secret hides nothing. The key is made once and kept in the state; with another key no
address is known again and everybody who said STOP may be written to, so it travels with the state
and is never changed.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from hashlib import blake2b
from typing import Final

from geoengine.core.consent.optout import normalised
from geoengine.state.base import State

KEY_NOTE: Final = "consent_key"
_KEY_BYTES: Final = 32
_MARK_BYTES: Final = 20  # 160 bits: no two addresses of the Earth meet
_SEAL_BYTES: Final = 12  # 96 bits: nobody guesses one
_LEVERS: Final = ("sms", "email", "push", "wallet")  # by the first byte of a link; only ever added


class Marks:
    """Hashes with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def address(self, lever: str, address: str) -> str:
        """The mark of an address, however it is written."""
        return self._mark(b"address", f"{lever}\x1f{normalised(lever, address)}")

    def person(self, person_id: str) -> str:
        """The mark of a person's name."""
        return self._mark(b"person", person_id)

    def identifier(self, kind: str, value: str) -> str:
        """The mark of a loyalty number and the like."""
        return self._mark(b"identifier", f"{kind}\x1f{value.strip().casefold()}")

    def link(self, lever: str, mark: str) -> str:
        """What stands at the end of the link by which one address opts out of one lever."""
        said = bytes([_LEVERS.index(lever)]) + bytes.fromhex(mark)
        return urlsafe_b64encode(said + self._seal(said)).decode()

    def opened(self, link: str) -> tuple[str, str] | None:
        """The lever and the mark of a link; None for one that we did not make."""
        try:
            raw = urlsafe_b64decode(link.encode("ascii", "replace"))
        except (BinasciiError, ValueError):
            return None
        said, seal = raw[:-_SEAL_BYTES], raw[-_SEAL_BYTES:]
        if len(said) != 1 + _MARK_BYTES or not hmac.compare_digest(seal, self._seal(said)):
            return None
        return (_LEVERS[said[0]], said[1:].hex()) if said[0] < len(_LEVERS) else None

    def _mark(self, what: bytes, text: str) -> str:
        hashed = blake2b(key=self._key, person=what, digest_size=_MARK_BYTES)
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    def _seal(self, said: bytes) -> bytes:
        return blake2b(said, key=self._key, person=b"link", digest_size=_SEAL_BYTES).digest()


async def marks_of(state: State) -> Marks:
    """The marks of this state; of several processes that start at once all take the same key."""
    key = await state.noted(KEY_NOTE)
    if key is None:
        key = await state.note(KEY_NOTE, os.urandom(_KEY_BYTES), is_first=True)
    return Marks(key)
