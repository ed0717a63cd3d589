"""A web application on a port of loopback, for as long as a test wants it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.servers.certificates import Certificates


@asynccontextmanager
async def on_loopback(
    app: web.Application, files: Certificates | None = None
) -> AsyncIterator[str]:
    """Its address; HTTPS with these files. Who hangs up is answered no further."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener, ssl_context=_shown(files)).start()
    scheme = "http" if files is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await runner.cleanup()


def _shown(files: Certificates | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    return context


def trusting(files: Certificates | None) -> ssl.SSLContext:
    """What a client goes by that is to trust them."""
    return ssl.create_default_context(cafile=None if files is None else str(files.authority))
