"""Signatures by the Standard Webhooks specification, symmetric scheme ``v1``.

A signature is HMAC-SHA256 over ``id.timestamp.body``. Several secrets sign side by side while one
is being replaced: the receiver accepts whichever it knows.
"""

from __future__ import annotations

import base64
import binascii
import hmac

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix that marks secrets, not one
KEY_MIN_BYTES, KEY_MAX_BYTES = 24, 64  # the specification's; shorter ones can be searched


class SecretError(ValueError):
    """A signing secret that cannot be used; the text never holds the secret."""


class Signer:
    """Signs bodies with every secret it was given, in their order."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: str) -> None:
        """Take one or more space-separated ``whsec_...`` secrets. Raises `SecretError`."""
        self._keys = tuple(_key(secret) for secret in secrets.split())
        if not self._keys:
            raise SecretError("no signing secret: expected whsec_...")

    def headers(self, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
        """The three headers of one attempt: the id stays, the timestamp is the attempt's."""
        signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": " ".join(_signature(key, signed) for key in self._keys),
        }


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise SecretError(f"a signing secret starts with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise SecretError(f"a signing secret is base64 after {SECRET_PREFIX}") from error
    if not KEY_MIN_BYTES <= len(key) <= KEY_MAX_BYTES:
        raise SecretError(f"a signing secret has {KEY_MIN_BYTES} to {KEY_MAX_BYTES} bytes")
    return key


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
