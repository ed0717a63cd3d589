"""Calls to a provider over HTTPS, and what it means when one fails.

How far a request came decides whether it may be made again. Before the connection stands nothing
can have reached anybody; after that, only the provider knows, and `Lost` says so.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from geoengine.levers.answers import readable
from geoengine.levers.base import Answer, Receipt

CONNECT_TIMEOUT_S = 5.0
BODY_MAX_BYTES = 65_536  # of an answer; providers send a few hundred
# Idle connections are dropped before providers drop them (the strictest documented is nginx's
# default of 75 s, balancers in front of it have 60): a message written to one that was just closed
# may or may not have arrived, and an SMS is then not sent again.
KEEPALIVE_S = 5.0
PER_HOST = 16  # connections to one provider; as many as messages at once

T = TypeVar("T")


class Answered(NamedTuple):
    """What a provider said."""

    status: int
    headers: Mapping[str, str]  # by any case
    body: bytes

    @property
    def detail(self) -> str:
        """The beginning of it, for an operator's eyes."""
        return readable(self.body)

    def read(self, shape: type[T]) -> T | None:
        """The body as this type; None where it is none, such as a page of somebody's proxy."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class Lost(Exception):
    """A request whose answer did not come; ``has_left`` where it may have arrived all the same."""

    def __init__(self, reason: str, has_left: bool, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_left = has_left
        self.detail = detail

    def receipt(self, *, is_repeatable: bool) -> Receipt:
        """To be tried again, unless it may have arrived and must not arrive twice."""
        status: Answer = "ambiguous" if self.has_left and not is_repeatable else "retry"
        return Receipt(status, self.reason, detail=self.detail, has_left=self.has_left)


class Web:
    """A provider's HTTPS; its connections are kept for the next message."""

    def __init__(self, timeout_s: float, *, tls: ssl.SSLContext | None = None) -> None:
        self.timeout_s = timeout_s
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL | str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Post once. Raises `Lost` where no answer comes."""
        return await self.ask("POST", url, body, headers)

    async def ask(
        self, method: str, url: URL | str, body: bytes, headers: Mapping[str, str]
    ) -> Answered:
        """Ask once. Raises `Lost` where no answer comes."""
        try:
            async with self._connected().request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return Answered(response.status, response.headers, await _whole(response))
        except aiohttp.ConnectionTimeoutError:
            raise Lost("unreachable", has_left=False) from None
        except TimeoutError:
            raise Lost("timeout", has_left=True) from None
        except aiohttp.ClientConnectorError as error:
            raise Lost("unreachable", False, readable(str(error).encode())) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost("connection_lost", True, readable(str(error).encode())) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made in the loop it is used in."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit_per_host=PER_HOST,
                    keepalive_timeout=KEEPALIVE_S,
                    ssl=True if self._tls is None else self._tls,
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": "geoengine"},
                trust_env=False,
            )
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body to its end, however it is cut into packets; of a longer one, the beginning."""
    body = b""
    while chunk := await response.content.read(BODY_MAX_BYTES - len(body)):
        body += chunk
    if not response.content.at_eof():
        response.close()  # nobody reads the rest
    return body
