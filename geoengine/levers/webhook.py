"""The webhook lever: CloudEvents in structured JSON, signed, each posted to its endpoint.

A receiver knows a message by its ``webhook-id``, which never changes, so that an attempt whose
fate is unknown is simply repeated. A message names its endpoint where others name an address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver

from geoengine.core.model import WebhookSpec
from geoengine.core.record import Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.answers import GONE, readable, receipt_of
from geoengine.levers.base import DETAIL_MAX_CHARS, Lane, Limits, Receipt
from geoengine.levers.guard import FORBIDDEN, ForbiddenAddress, endpoint, socket_factory
from geoengine.levers.signing import Signer

TIMEOUT_S = 15.0  # Standard Webhooks: 15 to 30; longer lets a slow receiver hold our connections
CONNECT_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 2.0  # for the body of an answer whose status is known; then the line is cut
BODY_MAX_BYTES = 65_536  # a longer answer is cut off, and its connection with it
# Connections to all endpoints together: as many as a hundred dead ones hold until they are left
# alone, and half of those that the service takes in. Who finds none free waits, and counts as slow.
CONNECTIONS_MAX = 2_048
DNS_KEPT_S = 30  # a name's addresses; the guard judges each connection's, however old
CONTENT_TYPE = "application/cloudevents+json"
USER_AGENT = "geoengine"
UNKNOWN = "no_endpoint"  # it was taken out of the catalogue after the message was made
_NOWHERE = Lane("?", Limits())  # no endpoint's id: it says nothing about any


class Endpoint:
    """Where to post, what signs, and what it bears. Switched off by its 410 until it is made anew.

    Raises `EndpointError` or `SecretError` when it is made of a bad address or secret.
    """

    __slots__ = ("allow_private", "is_gone", "lane", "signer", "url")

    def __init__(self, spec: WebhookSpec, secrets: str) -> None:
        self.url = endpoint(spec.url, spec.allow_private)
        self.allow_private = spec.allow_private
        self.signer = Signer(secrets)
        self.lane = Lane(spec.id or "", Limits(spec.at_once, spec.per_second or 0.0))
        self.is_gone = False


class WebhookLever:
    """Posts each message to its endpoint."""

    name = "webhook"

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        *,
        timeout_s: float = TIMEOUT_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._endpoints = {endpoint.lane.name: endpoint for endpoint in endpoints}
        self._resolver = resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether the inside is allowed

    def lane(self, send: Send) -> Lane:
        """The message's endpoint."""
        endpoint = self._endpoints.get(send.address)
        return _NOWHERE if endpoint is None else endpoint.lane

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Post once, and read the answer for what it is."""
        endpoint = self._endpoints.get(send.address)
        if endpoint is None:
            return Receipt("refused", UNKNOWN, has_left=False)
        if endpoint.is_gone:
            return Receipt("gone", GONE, has_left=False)
        try:
            receipt = await self._post(endpoint, send, now_ms)
        except aiohttp.ConnectionTimeoutError:
            return Receipt("retry", "unreachable", has_left=False)
        except TimeoutError:
            return Receipt("retry", "timeout")
        except aiohttp.InvalidURL:
            return Receipt("refused", "bad_address", has_left=False)
        except aiohttp.ClientConnectorError as error:
            return _unreached(error)
        except (aiohttp.ClientError, OSError) as error:
            return Receipt("retry", "connection_lost", detail=readable(str(error).encode()))
        endpoint.is_gone |= receipt.status == "gone"
        return receipt

    async def close(self) -> None:
        """Close the connections to the endpoints."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _post(self, endpoint: Endpoint, send: Send, now_ms: int) -> Receipt:
        body = msgspec.json.encode(send.event)
        headers = endpoint.signer.headers(send.send_id, now_ms // SECOND_MS, body)
        headers["content-type"] = CONTENT_TYPE
        async with self._session(endpoint.allow_private).post(
            endpoint.url, data=body, headers=headers, allow_redirects=False
        ) as response:
            answer = await _beginning(response)
            retry_after = response.headers.get("retry-after", "")
            return receipt_of(response.status, retry_after, answer, now_ms)

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        """The session, made in the loop it is used in. Two at most: no connection that was made
        with leave to the inside is ever used without it.
        """
        session = self._sessions.get(allow_private)
        if session is None:
            session = self._sessions[allow_private] = self._connected(allow_private)
        return session

    def _connected(self, allow_private: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                resolver=self._resolver,
                ttl_dns_cache=DNS_KEPT_S,
                socket_factory=socket_factory(allow_private),
            ),
            timeout=aiohttp.ClientTimeout(
                total=self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": USER_AGENT},
            trust_env=False,
            auto_decompress=False,
        )


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """What an operator may want to read of an answer; a long or slow one is cut off.

    The status has come by then and stands, whatever becomes of the body. A short body is read to
    its end so that the connection can be used again.
    """
    if response.content.at_eof():
        return b""
    kept, read_bytes = b"", 0
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while chunk := await response.content.read(BODY_MAX_BYTES - read_bytes):
                kept = (kept + chunk)[:DETAIL_MAX_CHARS]
                read_bytes += len(chunk)
                if read_bytes >= BODY_MAX_BYTES:
                    break
    if not response.content.at_eof():
        response.close()
    return kept


def _unreached(error: aiohttp.ClientConnectorError) -> Receipt:
    """Nothing was written: the name, the connection or the guard stood in the way."""
    if isinstance(error.os_error, ForbiddenAddress):
        return Receipt("refused", FORBIDDEN, has_left=False)
    reason = "dns" if isinstance(error, aiohttp.ClientConnectorDNSError) else "unreachable"
    return Receipt("retry", reason, has_left=False)
