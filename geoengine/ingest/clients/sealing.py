"""Messages that OwnTracks has encrypted: a NaCl secret box under a passphrase both sides know.

The box is PyNaCl's, an extra (``owntracks``): it is imported when a box is at hand.
"""

from __future__ import annotations

import base64
from typing import Any, Final

KEY_BYTES: Final = 32  # of a secret box; the passphrase is cut or filled with zeros to it


class Sealed(Exception):
    """A box that stays shut; the argument is the reason for the drop."""


def unsealed(data: Any, passphrase: str) -> bytes:
    """What is in a box: base64 of a nonce of 24 bytes and what it encrypts. Raises `Sealed`."""
    if not passphrase:
        raise Sealed("encrypted, no passphrase")
    if not isinstance(data, str):
        raise Sealed("encrypted, not readable")
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        raise Sealed("encrypted, PyNaCl is not installed") from None
    try:
        return SecretBox(_key(passphrase)).decrypt(base64.b64decode(data))
    except (CryptoError, ValueError):
        raise Sealed("encrypted, not readable") from None


def sealed(plain: bytes, passphrase: str) -> str:
    """A box around a message, as `unsealed` takes it; raises `ImportError` without PyNaCl."""
    from nacl.secret import SecretBox

    return base64.b64encode(SecretBox(_key(passphrase)).encrypt(plain)).decode()


def _key(passphrase: str) -> bytes:
    return passphrase.encode(errors="replace")[:KEY_BYTES].ljust(KEY_BYTES, b"\0")
