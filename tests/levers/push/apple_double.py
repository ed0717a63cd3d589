"""Apple's push service as it is documented: HTTP/2 over TLS, with its ways of hanging up."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.certificates import Certificates

KEY = ec.generate_private_key(ec.SECP256R1())
TEAM, KEY_ID, TOPIC = "TEAM123456", "KEY1234567", "com.example.shop"
TYPES = {"alert", "background", "location", "voip", "complication", "fileprovider", "mdm"}


def p8() -> str:
    """The team's key as Apple hands it out."""
    return KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@dataclass
class AppleDouble:
    """What arrived, what is known of devices, and the faults to show."""

    url: str
    tls: ssl.SSLContext
    now_s: int = 0  # Apple's clock
    pushes: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)  # by device
    issued_s: list[int] = field(default_factory=list)  # of the tokens shown, each once
    refused: set[int] = field(default_factory=set)  # tokens of these times are not taken
    connection_count: int = 0
    most_at_once: int = 0
    is_silent: bool = False
    hang_up: str = ""  # "goaway", "cut": what to do with the next request ...
    hang_up_after: int = 0  # ... once so many are held
    held: list[tuple[_Line, int]] = field(default_factory=list)
    hold_count: int = 0  # answer none until so many have come
    pass_type: str = ""  # of whoever shows its certificate: no token then, and nothing is said

    def judge(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """The answer to one push."""
        if self.pass_type:
            return self._judge_pass(headers, body)
        if (why := self._token_fault(headers.get("authorization", ""))) is not None:
            return why
        device = headers[":path"].removeprefix("/3/device/")
        if headers.get("apns-topic") != TOPIC:
            return 400, {"reason": "BadTopic"}
        if headers.get("apns-push-type") not in TYPES:
            return 400, {"reason": "InvalidPushType"}
        if len(headers.get("apns-collapse-id", "").encode()) > 64:
            return 400, {"reason": "BadCollapseId"}
        if not headers.get("apns-expiration", "0").isdigit():
            return 400, {"reason": "BadExpirationDate"}
        if len(body) > 4_096:
            return 413, {"reason": "PayloadTooLarge"}
        if len(device) != 64:
            return 400, {"reason": "BadDeviceToken"}
        return self.answers.get(device, (200, {}))

    def _judge_pass(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        if headers.get("apns-topic") != self.pass_type or "authorization" in headers:
            return 400, {"reason": "BadTopic"}
        if json.loads(body) != {}:
            return 400, {"reason": "PayloadEmpty"}
        return self.answers.get(headers[":path"].removeprefix("/3/device/"), (200, {}))

    def _token_fault(self, authorization: str) -> tuple[int, dict[str, Any]] | None:
        kind, _, token = authorization.partition(" ")
        if kind != "bearer" or not token:
            return 403, {"reason": "MissingProviderToken"}
        try:
            claims = jwt.decode(token, KEY.public_key(), ["ES256"], options={"verify_iat": False})
        except jwt.PyJWTError:
            return 403, {"reason": "InvalidProviderToken"}
        right = {"kid": KEY_ID, "alg": "ES256"}.items() <= jwt.get_unverified_header(token).items()
        if not right or claims["iss"] != TEAM or claims["iat"] in self.refused:
            return 403, {"reason": "InvalidProviderToken"}
        if self.now_s - claims["iat"] > 3_600:
            return 403, {"reason": "ExpiredProviderToken"}
        if claims["iat"] not in self.issued_s:
            if self.issued_s and claims["iat"] - self.issued_s[-1] < 1_200:
                return 429, {"reason": "TooManyProviderTokenUpdates"}
            self.issued_s.append(claims["iat"])
        return None


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, double: AppleDouble) -> None:
        self._double = double
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._double.connection_count += 1
        self._http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = {_text(name): _text(value) for name, value in event.headers}
                self._requests[event.stream_id] = headers, bytearray()
                most = max(self._double.most_at_once, len(self._requests))
                self._double.most_at_once = most
            elif isinstance(event, h2.events.DataReceived):
                self._requests[event.stream_id][1].extend(event.data)
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self._ended(event.stream_id)
        self._flush()

    def _ended(self, stream_id: int) -> None:
        double = self._double
        if double.is_silent:
            return
        if double.hang_up and len(double.held) >= double.hang_up_after:
            double.held.clear()
            self._hang_up(stream_id)
            return
        double.held.append((self, stream_id))
        if len(double.held) >= double.hold_count:
            held, double.held = double.held, []
            for line, one in held:
                line.answer(one)

    def answer(self, stream_id: int) -> None:
        """Judge a push, and say so."""
        headers, body = self._requests.pop(stream_id)
        self._double.pushes.append((headers, json.loads(bytes(body))))
        status, said = self._double.judge(headers, bytes(body))
        answered = [(":status", str(status)), ("apns-id", headers.get("apns-id", ""))]
        self._http.send_headers(stream_id, answered, end_stream=not said)
        if said:
            self._http.send_data(stream_id, json.dumps(said).encode(), end_stream=True)
        self._flush()

    def _hang_up(self, stream_id: int) -> None:
        how, self._double.hang_up = self._double.hang_up, ""
        if how == "goaway":  # this request was not looked at, says the last stream's number
            self._http.close_connection(last_stream_id=stream_id - 2 if stream_id > 1 else 0)
            self._flush()
        self._transport.close() if how == "goaway" else self._transport.abort()

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._http.data_to_send())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def apple(files: Certificates, *, passes: str = "") -> AsyncIterator[AppleDouble]:
    """The service on a port of loopback; ``passes`` is a file of who signs pass certificates."""
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(files.certificate, files.key)
    server_tls.set_alpn_protocols(["h2"])
    if passes:
        server_tls.load_verify_locations(passes)
        server_tls.verify_mode = ssl.CERT_REQUIRED
    double = AppleDouble("", ssl.create_default_context(cafile=str(files.authority)))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(double), "127.0.0.1", 0, ssl=server_tls)
    double.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield double
    finally:
        server.close()
        await server.wait_closed()
