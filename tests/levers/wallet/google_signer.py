"""Google as it signs what it says of passes: keys at an address, and messages."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.servers.web import on_loopback

ISSUER = "3388000000022"
DAY_MS = 86_400_000
PROTOCOL, SENDER = "ECv2SigningOnly", "GooglePayPasses"
Key = ec.EllipticCurvePrivateKey


def a_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: Key) -> str:
    """A key's other half as Google tells it."""
    raw = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(raw).decode()


def signature(key: Key, *parts: str) -> str:
    """Parts signed, each behind its length."""
    said = b"".join(len(p.encode()).to_bytes(4, "little") + p.encode() for p in parts)
    return b64encode(key.sign(said, ec.ECDSA(hashes.SHA256()))).decode()


@dataclass
class Signer:
    """What Google has, and what it does amiss."""

    now_ms: int
    url: str = ""
    root: Key = field(default_factory=a_key)
    intermediate: Key = field(default_factory=a_key)
    sender: str = SENDER
    recipient: str = ISSUER
    protocol: str = PROTOCOL
    root_until_ms: int = 0  # a month from now by default
    intermediate_until_ms: int = 0  # a day from now by default
    ask_count: int = 0  # for the keys
    fault: int = 0  # a status in place of the keys
    max_age_s: int | None = 3_600

    def keys(self) -> dict[str, Any]:
        """The keys as they are published: one of another protocol first."""
        until_ms = self.root_until_ms or self.now_ms + 30 * DAY_MS
        other = {"keyValue": public(a_key()), "protocolVersion": "ECv1"}
        own = {
            "keyValue": public(self.root),
            "protocolVersion": PROTOCOL,
            "keyExpiration": str(until_ms),
        }
        return {"keys": [other, own]}

    def message(self, event: str, serial: str, **changes: Any) -> bytes:
        """What is posted; ``changes`` are to what is said."""
        said = {
            "classId": f"{ISSUER}.club",
            "objectId": f"{ISSUER}.{serial}",
            "eventType": event,
            "expTimeMillis": self.now_ms + 3_600_000,
            "count": 1,
            "nonce": str(uuid.uuid4()),
        }
        return self.sealed(json.dumps(said | changes))

    def sealed(self, said: str) -> bytes:
        """Signed, whatever it is."""
        until_ms = self.intermediate_until_ms or self.now_ms + DAY_MS
        signed_key = json.dumps(
            {"keyValue": public(self.intermediate), "keyExpiration": str(until_ms)}
        )
        told = {
            "signature": signature(
                self.intermediate, self.sender, self.recipient, self.protocol, said
            ),
            "intermediateSigningKey": {
                "signedKey": signed_key,
                "signatures": [signature(self.root, self.sender, self.protocol, signed_key)],
            },
            "protocolVersion": self.protocol,
            "signedMessage": said,
        }
        return json.dumps(told).encode()


@asynccontextmanager
async def google_signer(now_ms: int) -> AsyncIterator[Signer]:
    """The keys on a port of loopback."""
    signer = Signer(now_ms)

    async def keys(_request: web.Request) -> web.Response:
        signer.ask_count += 1
        if signer.fault:
            return web.Response(status=signer.fault, text="<html>")
        cache = {} if signer.max_age_s is None else {"Cache-Control": f"max-age={signer.max_age_s}"}
        return web.json_response(signer.keys(), headers=cache)

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with on_loopback(app) as url:
        signer.url = f"{url}/keys"
        yield signer
