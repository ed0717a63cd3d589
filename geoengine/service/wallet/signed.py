"""What Google signs when somebody saves a pass or deletes it: protocol ``ECv2SigningOnly``.

A root key of Google's signs an intermediate key that lasts for days, and that one signs the
message. What is signed is each part behind its length (four bytes, little-endian), by ECDSA on
P-256 with SHA-256. The sender's name is ``GooglePayPasses``, the recipient's is the issuer's id.

Sources: https://developers.google.com/wallet/generic/use-cases/use-callbacks-for-saves-and-deletions
(message, keys' address, names) and
https://developers.google.com/pay/api/android/guides/resources/payment-data-cryptography
(signatures, order of the checks).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

SENDER: Final = "GooglePayPasses"
PROTOCOL: Final = "ECv2SigningOnly"
_LENGTH_BYTES: Final = 4
_SIGNATURES_MAX: Final = 8  # that are tried: Google sends one; each costs a tenth of a millisecond
_Millis = int | str  # Google writes them as texts in keys, as numbers in messages


class Key(Struct, frozen=True):
    """One of Google's keys, as it tells them; of a root key also what it is for."""

    keyValue: str
    keyExpiration: _Millis = 0  # without one it never counts
    protocolVersion: str = PROTOCOL

    def is_good(self, now_ms: int) -> bool:
        """Whether it still counts, for this protocol."""
        return self.protocolVersion == PROTOCOL and now_ms < _millis(self.keyExpiration)


class Event(Struct, frozen=True):
    """What happened to an object."""

    eventType: str
    expTimeMillis: _Millis
    nonce: str
    classId: str = ""
    objectId: str = ""

    @property
    def until_ms(self) -> int:
        """When it counts no more; also its place among others of one object."""
        return _millis(self.expTimeMillis)


class _Roots(Struct):
    keys: list[Key]


class _Intermediate(Struct):
    signedKey: str
    signatures: list[str]


class _Sealed(Struct):
    protocolVersion: str
    signature: str
    intermediateSigningKey: _Intermediate
    signedMessage: str


class Refusal(Exception):
    """It is not from Google, not for us, or not for now; ``is_unknown`` where another root key than
    those we have may have signed it.
    """

    def __init__(self, why: str, *, is_unknown: bool = False) -> None:
        super().__init__(why)
        self.is_unknown = is_unknown


def roots_in(body: bytes) -> list[Key]:
    """The root keys that Google tells; raises `msgspec.DecodeError` for what is no list of them."""
    return msgspec.json.decode(body, type=_Roots).keys


def opened(body: bytes, issuer: str, roots: Sequence[Key], now_ms: int) -> Event:
    """What Google says; raises `Refusal` where it is not Google who says it, or it is too late."""
    try:
        sealed = msgspec.json.decode(body, type=_Sealed)
        key = msgspec.json.decode(sealed.intermediateSigningKey.signedKey, type=Key)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refusal("not a message of Google Wallet's") from None
    if sealed.protocolVersion != PROTOCOL:
        raise Refusal(f"protocolVersion is not {PROTOCOL}")
    _require_roots(sealed.intermediateSigningKey, roots, now_ms)
    if not key.is_good(now_ms):
        raise Refusal("its intermediate key has expired")
    said = _signed(SENDER, issuer, PROTOCOL, sealed.signedMessage)
    if not _is_by(key, sealed.signature, said):
        raise Refusal("its signature is not that of its intermediate key, for this issuer")
    return _event(sealed.signedMessage, now_ms)


def _require_roots(intermediate: _Intermediate, roots: Sequence[Key], now_ms: int) -> None:
    said = _signed(SENDER, PROTOCOL, intermediate.signedKey)
    signatures = intermediate.signatures[:_SIGNATURES_MAX]
    good = [root for root in roots if root.is_good(now_ms)]
    if not any(_is_by(root, shown, said) for root in good for shown in signatures):
        raise Refusal("its intermediate key is not signed by Google", is_unknown=True)


def _event(text: str, now_ms: int) -> Event:
    try:
        event = msgspec.json.decode(text, type=Event)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refusal("signed, and not about an object") from None
    if not event.nonce or now_ms >= event.until_ms:
        raise Refusal("it has expired")
    return event


def _signed(*parts: str) -> bytes:
    """Parts as they are signed.

    >>> _signed("ab", "c")
    b'\\x02\\x00\\x00\\x00ab\\x01\\x00\\x00\\x00c'
    """
    raw = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "little") + one for one in raw)


def _is_by(key: Key, signature: str, said: bytes) -> bool:
    try:
        public = load_der_public_key(b64decode(key.keyValue, validate=True))
        shown = b64decode(signature, validate=True)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(shown, said, ec.ECDSA(hashes.SHA256()))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _millis(told: _Millis) -> int:
    """Milliseconds since the epoch; 0 for what are none.

    >>> _millis("1754778096000"), _millis(7), _millis("soon")
    (1754778096000, 7, 0)
    """
    if isinstance(told, int):
        return told
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 16 else 0
