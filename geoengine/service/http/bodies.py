"""The bodies of requests whose contracts are others': read within a limit and a time."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from geoengine.service.http.problems import Problem

FORM_BYTES: Final = 64 << 10  # what providers and wallets post: a few thousand, a log a hundred


async def body_of(
    request: web.BaseRequest,
    timeout_s: float,
    most_bytes: int = FORM_BYTES,
    *,
    reads_out: bool = False,
) -> bytes:
    """The body; raises `Problem` where it is too large, too slow, or not what HTTP says it is.

    ``reads_out`` for senders who would send it again if they heard that it is too large: one beyond
    the limit is read to its end, and nothing of it is kept.
    """
    try:
        if request.content.is_eof():  # all of it is here: nothing to wait for
            return await _read(request, most_bytes, reads_out=reads_out)
        async with asyncio.timeout(timeout_s):
            return await _read(request, most_bytes, reads_out=reads_out)
    except TimeoutError:
        raise Problem("body_too_slow", headers={"Connection": "close"}) from None
    except web.RequestPayloadError as error:
        raise Problem("bad_request", str(error), {"Connection": "close"}) from None


async def _read(request: web.BaseRequest, most_bytes: int, *, reads_out: bool) -> bytes:
    parts, size_bytes = [], 0
    async for part in request.content.iter_any():
        size_bytes += len(part)
        if size_bytes <= most_bytes:
            parts.append(part)
        elif not reads_out:
            raise Problem("body_too_large", headers={"Connection": "close"})
    return b"".join(parts) if size_bytes <= most_bytes else b""
