"""Positions on the servers, unreadable to whoever has only the servers' files.

Last fixes are not logged, but a snapshot, or a rewritten append-only file, holds what is in memory.
So places are encrypted with a key made from the state's password, which every process has and no
file of the servers holds. Under another password what was sealed reads as nowhere: times stand, as
after a restart of the embedded state. Without a password nothing is sealed, and `concerns` says so.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Longs

UNSEALED: Final = 0
_KEY_BYTES: Final = 32
_MARKS: Final = 255  # a mark tells which key: another one's is not even tried


class Seal:
    """Hides places, and shows them again."""

    def __init__(self, password: str, prefix: str) -> None:
        """Takes some fifty milliseconds: a guess at a password is to cost as much."""
        self.mark = UNSEALED
        if not password:
            return
        salt = f"geoengine last fixes {prefix}".encode()
        made = hashlib.scrypt(
            password.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=_KEY_BYTES + 1
        )
        self.mark = 1 + made[-1] % _MARKS
        # One block a place, masked with its time first: two places look alike only to the bit and
        # at the same millisecond.
        self._cipher = Cipher(algorithms.AES(made[:_KEY_BYTES]), modes.ECB())  # noqa: S305

    def hide(self, places: Floats, at_ms: Longs) -> Floats:
        """Places as they may be written.

        Parameters
        ----------
        places : float64, shape (P, 2)
        at_ms : int64, shape (P,)
            The times of these fixes, which are written beside them.
        """
        if self.mark == UNSEALED:
            return places
        blocks = (places.view(np.int64) ^ at_ms[:, None]).tobytes()
        return _pairs(self._cipher.encryptor().update(blocks)).view(float)

    def show(self, hidden: Floats, at_ms: Longs, marks: NDArray[np.uint8]) -> Floats:
        """Places as they were, by what `hide` made of them; NaN under another key."""
        places = hidden.copy()
        mine = (marks == self.mark) & (marks != UNSEALED)
        places[(marks != UNSEALED) & ~mine] = np.nan
        if mine.any():
            blocks = np.ascontiguousarray(hidden[mine]).tobytes()
            clear = _pairs(self._cipher.decryptor().update(blocks))
            places[mine] = (clear ^ at_ms[mine][:, None]).view(float)
        return places


def _pairs(blocks: bytes) -> Longs:
    return np.frombuffer(blocks, np.int64).reshape(-1, 2).copy()
