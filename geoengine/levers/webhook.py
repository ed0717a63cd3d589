"""The webhook lever: CloudEvents in structured JSON, signed, posted to one endpoint.

A receiver knows a message by its ``webhook-id``, which never changes, so that an attempt whose
fate is unknown is simply repeated.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver

from geoengine.core.model import WebhookSpec
from geoengine.core.record import Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.answers import GONE, readable, receipt_of
from geoengine.levers.base import DETAIL_MAX_CHARS, Receipt
from geoengine.levers.guard import FORBIDDEN, ForbiddenAddress, endpoint, socket_factory
from geoengine.levers.signing import Signer

TIMEOUT_S = 15.0  # Standard Webhooks: 15 to 30; longer lets a slow receiver hold our connections
CONNECT_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 2.0  # for the body of an answer whose status is known; then the line is cut
BODY_MAX_BYTES = 65_536  # a longer answer is cut off, and its connection with it
PER_HOST = 16  # connections to the endpoint; more would be a flood to a small receiver
CONTENT_TYPE = "application/cloudevents+json"
USER_AGENT = "geoengine"


class WebhookLever:
    """Posts to one endpoint; switched off by its 410 until the catalogue is read again.

    Raises `EndpointError` or `SecretError` when it is made of a bad address or secret.
    """

    name = "webhook"

    def __init__(
        self,
        spec: WebhookSpec,
        secrets: str,
        *,
        timeout_s: float = TIMEOUT_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._url = endpoint(spec.url, spec.allow_private)
        self._allow_private = spec.allow_private
        self._signer = Signer(secrets)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._is_gone = False

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Post once, and read the answer for what it is."""
        if self._is_gone:
            return Receipt("gone", GONE, has_left=False)
        try:
            receipt = await self._post(send, now_ms)
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
        self._is_gone |= receipt.status == "gone"
        return receipt

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, send: Send, now_ms: int) -> Receipt:
        body = msgspec.json.encode(send.event)
        headers = self._signer.headers(send.send_id, now_ms // SECOND_MS, body)
        headers["content-type"] = CONTENT_TYPE
        async with self._connected().post(
            self._url, data=body, headers=headers, allow_redirects=False
        ) as response:
            answer = await _beginning(response)
            retry_after = response.headers.get("retry-after", "")
            return receipt_of(response.status, retry_after, answer, now_ms)

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made in the loop it is used in."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit_per_host=PER_HOST,
                    resolver=self._resolver,
                    socket_factory=socket_factory(self._allow_private),
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": USER_AGENT},
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """What an operator may want to read of an answer; a long or slow one is cut off.

    The status has come by then and stands, whatever becomes of the body. A short body is read to
    its end so that the connection can be used again.
    """
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
