"""Apple's push service: HTTP/2, one connection for all messages.

Apple closes connections as it likes, by GOAWAY or without a word, and a client library that goes on
with a dead one fails for ever. So whatever goes wrong below a request makes us connect anew for the
next; requests that are still on the old connection end on it.

Used for messages (a team's key signs a token) and for passes (their certificate opens the TLS).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import Mapping
from typing import Final

import httpx2
import jwt
from msgspec import Struct

from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.levers.answers import retry_after_ms
from geoengine.levers.base import Receipt
from geoengine.levers.secrets import CredentialError
from geoengine.levers.web import CONNECT_TIMEOUT_S, Answered, Lost

PRODUCTION: Final = "https://api.push.apple.com"
SANDBOX: Final = "https://api.sandbox.push.apple.com"

# Apple refuses tokens older than an hour, and tokens renewed more than once in 20 minutes.
RENEW_MS: Final = 40 * MINUTE_MS
RENEW_MIN_MS: Final = 20 * MINUTE_MS
_BUSY_MS: Final = 60 * SECOND_MS  # left alone so long after a 429 that does not say how long

BAD_TOKEN: Final = "BadDeviceToken"  # noqa: S105 - or one of the other environment
_DEAD: Final = {BAD_TOKEN, "Unregistered", "ExpiredToken"}
# A 429 about one device's token alone; that about our own token has another word.
# developer.apple.com: "Handling notification responses from APNs".
_BUSY_DEVICE: Final = "TooManyRequests"
_TOKEN_REFUSED: Final = {"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"}


class _Said(Struct):
    reason: str = ""
    timestamp: int = 0


class Connection:
    """A multiplexed HTTP/2 connection to Apple, made anew when it is lost."""

    def __init__(self, url: str, timeout_s: float, *, tls: ssl.SSLContext | None = None) -> None:
        self.timeout_s = timeout_s
        self._url = url.rstrip("/")
        self._tls = tls or ssl.create_default_context()
        self._client: httpx2.AsyncClient | None = None
        self._in_use: dict[httpx2.AsyncClient, int] = {}

    async def post(self, token: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Push to one device. Raises `Lost` where no answer comes."""
        client = self._connected()
        self._in_use[client] += 1
        try:
            answer = await client.post(
                f"{self._url}/3/device/{token}", headers=dict(headers), content=body
            )
            return Answered(answer.status_code, answer.headers, answer.content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            self._leave(client)
            raise Lost("unreachable", False, str(error)) from None
        except httpx2.TimeoutException:
            self._leave(client)
            raise Lost("timeout", has_left=True) from None
        except httpx2.HTTPError as error:
            self._leave(client)
            raise Lost("connection_lost", True, str(error)) from None
        except asyncio.CancelledError:  # out of time, maybe because nobody is there any more
            self._leave(client)
            raise
        finally:
            await self._released(client)

    async def close(self) -> None:
        """Close the connection."""
        for client in list(self._in_use):
            await client.aclose()
        self._in_use.clear()
        self._client = None

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                http1=False,
                http2=True,
                verify=self._tls,
                timeout=httpx2.Timeout(
                    self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s)
                ),
                limits=httpx2.Limits(max_connections=1),
                trust_env=False,
                headers={"user-agent": "geoengine"},
            )
            self._in_use[self._client] = 0
        return self._client

    def _leave(self, client: httpx2.AsyncClient) -> None:
        """Start no more on this one."""
        if client is self._client:
            self._client = None

    async def _released(self, client: httpx2.AsyncClient) -> None:
        if client not in self._in_use:
            return
        self._in_use[client] -= 1
        if client is not self._client and not self._in_use[client]:
            del self._in_use[client]
            with contextlib.suppress(httpx2.HTTPError, OSError):  # it is lost anyway
                await client.aclose()


class TeamTokens:
    """The present token of a team's key: ES256, signed anew every `RENEW_MS`."""

    def __init__(self, key: str, key_id: str, team: str, variable: str) -> None:
        self._key = key
        self._key_id = key_id
        self._team = team
        self._token = ""
        self._issued_ms = -RENEW_MS
        try:
            self._signed(0)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise CredentialError(
                f"{variable} is no key of Apple's: expected the text of a .p8 file"
            ) from None

    def token(self, now_ms: int) -> str:
        """The token to show."""
        if not self._token or now_ms - self._issued_ms >= RENEW_MS:
            self._token, self._issued_ms = self._signed(now_ms), now_ms
        return self._token

    def spoil(self, token: str, now_ms: int) -> bool:
        """This one was refused; whether there will be another, which Apple bears only so often."""
        if token == self._token and now_ms - self._issued_ms >= RENEW_MIN_MS:
            self._token = ""
        return token != self._token

    def _signed(self, now_ms: int) -> str:
        claims = {"iss": self._team, "iat": now_ms // SECOND_MS}
        return jwt.encode(claims, self._key, "ES256", {"kid": self._key_id})


def apns_id(send_id: str) -> str:
    """The id Apple knows a message by: a UUID, the same at each attempt.

    >>> apns_id("send-1") == apns_id("send-1") != apns_id("send-2")
    True
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"geoengine:{send_id}"))


def is_token_refused(answer: Answered) -> bool:
    """Whether Apple wants another token of ours."""
    return answer.status == 403 and _said(answer).reason in _TOKEN_REFUSED


def receipt_of(answer: Answered, now_ms: int) -> Receipt:
    """What Apple's answer makes of a message.

    A token that Apple calls unregistered comes with the time since when: a registration after that
    one stands.
    """
    if answer.status == 200:
        return Receipt("delivered")
    said = _said(answer)
    if said.reason in _DEAD or answer.status == 410:
        return Receipt("gone", "token_dead", detail=said.reason, since_ms=said.timestamp)
    reason = said.reason or f"http_{answer.status}"
    if answer.status == 403:
        return Receipt("retry", "bad_credentials", detail=reason)
    if answer.status == 429 or answer.status >= 500:
        wait_ms = retry_after_ms(answer.headers.get("retry-after", ""), now_ms)
        if answer.status == 429 and not wait_ms:
            wait_ms = _BUSY_MS
        return Receipt("retry", reason, wait_ms, is_of_one=reason == _BUSY_DEVICE)
    return Receipt("refused", reason)


def _said(answer: Answered) -> _Said:
    return answer.read(_Said) or _Said()
