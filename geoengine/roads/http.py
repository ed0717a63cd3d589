"""Asking a router over HTTP: patient with what passes, and clear about what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from geoengine.core.errors import RoadsError, RouterDown

TIMEOUT_S = 60.0  # an isochrone takes hundredths of a second; an hour's drive some seconds
CONNECT_TIMEOUT_S = 5.0
ANSWER_MAX_BYTES = 32 * 1024 * 1024  # an hour's drive without rounding is 2 MB

# Pauses before asking again, seconds. A router that starts anew reads its tiles in some seconds;
# the build that asks has a longer patience of its own.
AGAIN_S = (0.5, 2.0, 5.0)

# The longest that a server may make us wait by Retry-After, seconds: openrouteservice counts by the
# minute. What it counts by the day is for the operator to hear.
RETRY_AFTER_MAX_S = 90.0

_PASSES = (429, 500, 502, 503, 504)
_SAYS_MAX = 200  # characters of an answer that are shown

Pause = Callable[[float], Awaitable[None]]


class Reply(NamedTuple):
    """What came back: the status of HTTP and the body."""

    status: int
    body: bytes

    @property
    def says(self) -> str:
        """Its beginning, for people."""
        return " ".join(self.body[: 4 * _SAYS_MAX].decode(errors="replace").split())[:_SAYS_MAX]


class Client:
    """A session with one server. ``is_final`` tells which 5xx no patience will change."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        is_final: Callable[[Reply], bool] = lambda reply: False,
        pause: Pause = asyncio.sleep,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.url = base_url(url)
        self._headers = dict(headers or {})
        self._is_final = is_final
        self._pause = pause
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Any) -> Reply:
        """The server's reply, whatever its status. Raises `RouterDown` where there is none."""
        return await self._patiently(path, msgspec.json.encode(body))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _patiently(self, path: str, body: bytes) -> Reply:
        """Ask, and ask again after what may pass; the last reply stands."""
        for again_s in (*AGAIN_S, None):
            fault = ""
            try:
                reply, wait_s = await self._once(path, body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                fault = str(error) or type(error).__name__
            else:
                if reply.status not in _PASSES or self._is_final(reply):
                    return reply
                if again_s is None or wait_s > RETRY_AFTER_MAX_S:
                    return reply
                again_s = max(again_s, wait_s)
            if again_s is None:
                break
            await self._pause(again_s)
        raise RouterDown(f"{self.url} does not answer: {fault}")

    async def _once(self, path: str, body: bytes) -> tuple[Reply, float]:
        """One reply, and how long the server wants to be left alone, seconds."""
        address = f"{self.url}{path}"
        async with self._connected().post(address, data=body, allow_redirects=False) as response:
            content = await _whole(response)
            return Reply(response.status, content), _seconds(response.headers.get("Retry-After"))

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made in the loop it is used in."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=self._timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, self._timeout_s)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "user-agent": "geoengine",
                    "content-type": "application/json",
                    **self._headers,
                },
                trust_env=False,
            )
        return self._session


def base_url(url: str) -> str:
    """A server's address, without the slash at its end. Raises `RoadsError` where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise RoadsError(f"engine.roads.url is {url!r}: expected http://HOST:PORT or https://HOST")
    return url.rstrip("/")


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = await response.content.read(ANSWER_MAX_BYTES + 1)
    while len(content) <= ANSWER_MAX_BYTES:
        chunk = await response.content.read(ANSWER_MAX_BYTES + 1 - len(content))
        if not chunk:
            return content
        content += chunk
    response.close()
    raise RouterDown(f"its answer is larger than {ANSWER_MAX_BYTES // 1024 // 1024} MB")


def _seconds(retry_after: str | None) -> float:
    """Of a Retry-After in seconds; a date is none, as there is no clock here."""
    written = retry_after or ""
    return float(written) if written.isascii() and written.isdigit() else 0.0
