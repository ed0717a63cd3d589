"""Two processes of the service on one shared state, for campaigns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.ledger import SECRET, Ledger, Line, session
from tests.faults.shared.sides import connector
from tests.servers.places import Loopback, Place
from tests.service.process import Process, process

CATALOGUE = """
stores:
  - id: rivoli
    name: Maison Rivoli
    location: {{lat: 48.8583, lon: 2.3470}}
    setting: city
    reach: {{radius_m: 300}}
  - id: bastille
    name: Maison Bastille
    location: {{lat: 48.8533, lon: 2.3692}}
    setting: city
    reach: {{radius_m: 300}}
campaigns:
  - id: hello
    on: enter
    levers: [webhook]
    caps: [{{max: 1, per: 24h}}]
    expires: 1h
    message: {{en: "Five minutes to {{store}}."}}
engine:
  consent: {{location: assumed}}
  webhook: {{url: "http://127.0.0.1:{port}/hook", allow_private: true}}
"""


class Service:
    """One process, started again as often as it is killed."""

    def __init__(
        self,
        directory: Path,
        catalogue: str,
        state_url: str,
        *,
        place: Place | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._state_url = state_url
        self.place = place or Loopback()
        self._environment = SECRET | dict(settings or {})
        self._open = AsyncExitStack()
        self._running: Process

    @property
    def url(self) -> str:
        """Where it listens, or has listened before it was killed."""
        return self._running.url

    @property
    def said(self) -> str:
        return self._running.said

    async def start(self) -> None:
        """Start it; returns when it serves."""
        self._directory.mkdir(parents=True, exist_ok=True)
        starting = process(
            self._directory,
            self._environment,
            self._catalogue,
            more=("--state", self._state_url),
            enter=self.place.enter,
        )
        self._running = await self._open.enter_async_context(starting)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._open.aclose()

    async def stop(self) -> int:
        """Stop it as an operator would; its exit code."""
        child = self._running.child
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            await child.wait()
        await self._open.aclose()
        return child.returncode or 0


@contextlib.asynccontextmanager
async def serving(ledger: Ledger, *services: Service) -> AsyncIterator[list[Line]]:
    """All of them started, and lines to them; a clean stop at the end counts."""
    async with AsyncExitStack() as open_:
        lines = []
        for service in services:
            open_.push_async_callback(service.kill)
        async with asyncio.TaskGroup() as starting:
            for service in services:
                starting.create_task(service.start())
        for service in services:
            calls = await open_.enter_async_context(session(connector=connector(service.place)))
            lines.append(Line(calls, _url_of(service)))
        yield lines
        for code in await asyncio.gather(*(service.stop() for service in services)):
            ledger.check(code == 0, f"exit {code} after a clean stop")


def _url_of(service: Service) -> Callable[[], str]:
    return lambda: service.url
