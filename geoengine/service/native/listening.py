"""Gateways that wait to be called: Cassia streams what it hears to whoever connects.

One process of all connects to each gateway, and again with growing pauses when a stream ends. What
a stream says is taken in by the piece that has arrived; a line that is not whole yet waits for its
end. What cannot be taken in is dropped: a stream knows no "again".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from traceback import format_tb
from typing import Final

import aiohttp

from geoengine.core.errors import StateError
from geoengine.core.model import Gateway
from geoengine.ingest.reports import Origin
from geoengine.service.context import Context
from geoengine.service.http.problems import Problem
from geoengine.service.logs import logger
from geoengine.service.native.credentials import Ears, plain
from geoengine.service.native.entering import decoded_of, enter

KIND: Final = "cassia"
LINE_MAX: Final = 65_536  # bytes of what is no whole line; an event has some three hundred
SILENT_S: Final = 60.0  # a stream says now and then that it lives
CONNECT_S: Final = 10.0
LOOK_S: Final = 2.0  # who is to be called, by the catalogue and among the processes, is asked again
WAIT_FIRST_S, WAIT_LAST_S = 1.0, 60.0
_LOG = logger("listening")


class Listening:
    """Streams, one for each gateway that this process is to listen to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._streams: dict[Gateway, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            for stream in self._streams.values():
                stream.cancel()
            if self._streams:
                await asyncio.wait(self._streams.values())

    def _look(self) -> None:
        """Begin and end streams as the catalogue in force has them."""
        context = self._context
        wanted = {
            gateway
            for gateway in context.book.gateways.values()
            if gateway.kind == KIND and gateway.url and context.state.serves(gateway.id)
        }
        for gateway in self._streams.keys() - wanted:
            self._streams.pop(gateway).cancel()
        for gateway in wanted - self._streams.keys():
            self._streams[gateway] = asyncio.create_task(self._keep(gateway), name=gateway.id)

    async def _keep(self, gateway: Gateway) -> None:
        """Listen to a gateway for ever."""
        wait_s = WAIT_FIRST_S
        while True:
            try:
                async with aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=CONNECT_S, sock_read=SILENT_S
                    )
                ) as session:
                    async for piece in _lines(session, gateway, self._context):
                        wait_s = WAIT_FIRST_S
                        await self._take(gateway, piece)
                why = "the stream ended"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                why = type(error).__name__  # its text may hold the URL, and that a password
            except Exception as error:  # ours: we hear of it, without what stood in variables
                self._context.metrics.failures.add(("listening",))
                where = "".join(format_tb(error.__traceback__))
                _LOG.error("listening_failed", gateway=gateway.id, where=where)
                why = type(error).__name__
            _LOG.warning("gateway_lost", gateway=gateway.id, why=why, again_s=round(wait_s, 1))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, WAIT_LAST_S)

    async def _take(self, gateway: Gateway, piece: bytes) -> None:
        context = self._context
        origin = Origin(context.clock(), gateway_id=gateway.id)
        decoded = decoded_of(context, KIND, piece, origin)
        ears = Ears(gateway.id, {plain(gateway.id): gateway.id})
        try:
            await enter(context, KIND, decoded, origin, body_bytes=len(piece), ears=ears)
        except (Problem, StateError) as error:
            context.metrics.native.add((KIND, "lost"))
            _LOG.warning("gateway_unheard", gateway=gateway.id, why=type(error).__name__)


async def _lines(
    session: aiohttp.ClientSession, gateway: Gateway, context: Context
) -> AsyncIterator[bytes]:
    """Whole lines of a gateway's stream, as many at once as have arrived."""
    url, headers, query = gateway.url or "", {}, {"event": "1"}
    if secret := context.credentials.secret(gateway):  # the key and secret of a controller
        key, _, word = secret.partition(":")
        async with session.post(
            f"{url}/oauth2/token",
            headers={"Authorization": aiohttp.encode_basic_auth(key, word)},
            json={"grant_type": "client_credentials"},
        ) as answer:
            answer.raise_for_status()
            token = (await answer.json(content_type=None)).get("access_token")
        headers, query = {"Authorization": f"Bearer {token}"}, query | {"mac": gateway.id}
    async with session.get(f"{url}/gap/nodes", params=query, headers=headers) as answer:
        answer.raise_for_status()
        _LOG.info("gateway_heard", gateway=gateway.id)
        rest = b""
        async for piece in answer.content.iter_any():
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if len(rest) > LINE_MAX:
                raise ValueError("a line without an end")
            if end:
                yield whole
