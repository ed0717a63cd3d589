"""Where a provider tells what became of a message: an address that holds which one it was.

The address is handed to the provider with the message and to nobody else. What it holds is sealed:
nobody can read it, make one up, or change one. So whoever posts there knows of that message, and
nothing has to be kept until they do.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.record import Record, Send
from geoengine.levers.sms.lever import STATUS_URL
from geoengine.service.sending.preparing import Prepared

PATH: Final = "/in/sms/status"
_NONCE_BYTES: Final = 12


class Sent(Struct, frozen=True, array_like=True):
    """Which message it was."""

    send_id: str
    person_id: str
    campaign_id: str
    store_id: str
    trigger_id: str
    visit_id: str
    variant: str

    @classmethod
    def of(cls, send: Send) -> Sent:
        """What is told of a send."""
        data = send.event.get("data") or {}
        return cls(
            send.send_id,
            send.person_id,
            send.campaign_id,
            send.store_id,
            send.trigger_id,
            str(data.get("visit_id") or ""),
            str(data.get("variant") or ""),
        )


class StatusUrls:
    """Puts the address into each SMS, where there is a URL to reach us by."""

    def __init__(self, book_of: Callable[[], Book]) -> None:
        self._book_of = book_of

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """With the address; the same one each time."""
        book = self._book_of()
        spec, public_url = book.engine.spec.sms, book.engine.spec.public_url
        if send.lever != "sms" or spec is None or public_url is None:
            return Prepared(send)
        token = sealed(Sent.of(send), book.coupon_key)
        url = f"{public_url.rstrip('/')}{PATH}/{spec.provider}/{token}"
        data = (send.event.get("data") or {}) | {STATUS_URL: url}
        return Prepared(msgspec.structs.replace(send, event=send.event | {"data": data}))


def sealed(sent: Sent, key: bytes) -> str:
    """Which message it was, as nobody else can read it."""
    text = msgspec.msgpack.encode(sent)
    # One nonce for one text: it is that text's own.
    nonce = blake2b(text, key=key[:64], digest_size=_NONCE_BYTES).digest()
    return urlsafe_b64encode(nonce + _cipher(key).encrypt(nonce, text, None)).decode().rstrip("=")


def opened(token: str, key: bytes) -> Sent | None:
    """Which message it was; None for what we have not sealed."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        text = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        return msgspec.msgpack.decode(text, type=Sent)
    except (InvalidTag, ValueError):
        return None


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(blake2b(key, digest_size=32, person=b"sms status").digest())
