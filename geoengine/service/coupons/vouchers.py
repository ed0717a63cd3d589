"""A code that a till can check without asking: what it is good for, signed.

``GE1.`` and two parts in base64url: JSON and an Ed25519 signature of it. Any till with the public
key can tell that the code is genuine, for which campaign, at which store and until when. Whether it
has been redeemed elsewhere only the service knows: a till that is offline remembers its own, and
posts them when it is back, with the time at which they were. The public key makes none.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from geoengine.core.offers.redeeming import AHEAD_MS, Issued, Scope
from geoengine.core.units import SECOND_MS

PREFIX: Final = "GE1"
_PARTS: Final = 3


class Voucher(Struct, rename={"code": "c", "campaign_id": "m", "store_id": "s", "scope": "k",
                              "from_s": "f", "until_s": "u"}):  # fmt: skip
    """What the JSON says; names of one letter, since every sign makes the QR code denser."""

    code: str
    campaign_id: str
    store_id: str
    scope: Scope
    from_s: int
    until_s: int

    def why_not(self, store_id: str, at_ms: int) -> str:
        """What a till may say against it without asking; "" where it may be taken.

        A code for a campaign's stores is taken at any: which they are, only the service knows.
        """
        if self.scope == "store" and self.store_id not in ("", store_id):
            return "coupon_wrong_store"
        if at_ms >= self.until_s * SECOND_MS:
            return "coupon_expired"
        return "coupon_not_yet" if at_ms < self.from_s * SECOND_MS - AHEAD_MS else ""


@lru_cache(maxsize=4)
def _signer(key: bytes) -> Ed25519PrivateKey:
    seed = blake2b(b"voucher", key=key[:64], digest_size=32).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: bytes) -> str:
    """What tills check with: 32 bytes, base64url."""
    return _text(_signer(key).public_key().public_bytes_raw())


def sealed(issued: Issued, key: bytes) -> str:
    """A code as a voucher."""
    voucher = Voucher(
        issued.code, issued.campaign_id, issued.store_id, issued.scope,
        issued.from_ms // SECOND_MS, issued.until_ms // SECOND_MS,
    )  # fmt: skip
    body = msgspec.json.encode(voucher)
    return f"{PREFIX}.{_text(body)}.{_text(_signer(key).sign(body))}"


def opened(text: str, public: str) -> Voucher | None:
    """What a voucher says; None for what is none, or is not signed with the key's other half."""
    parts = text.strip().split(".")
    if len(parts) != _PARTS or parts[0] != PREFIX:
        return None
    try:
        body, signature = _bytes(parts[1]), _bytes(parts[2])
        Ed25519PublicKey.from_public_bytes(_bytes(public)).verify(signature, body)
        return msgspec.json.decode(body, type=Voucher)
    except (InvalidSignature, NotBase64, ValueError):
        return None


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
