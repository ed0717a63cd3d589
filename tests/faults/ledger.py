"""What the campaigns against the running service have in common.

A *ledger* knows what was acknowledged and what the receiver saw, and takes down what does not hold.
A *line* is how phones and a CRM speak to one process of the service.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.service.serving import until

OUTSIDE = (48.8628, 2.3470)  # 500 m from the shop: out, and reached in ten seconds
FAIL_SHARE = 0.02  # of webhooks answered 500
SECRET = {"GEOENGINE_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
ANSWER_S = 30.0  # a withdrawal waits for messages on their way; nothing else takes as long


@dataclass
class Ledger:
    """Everything one run knows."""

    rng: random.Random
    started: dict[str, set[str]] = field(default_factory=dict)  # person -> webhook-ids
    taken: set[str] = field(default_factory=set)  # those that the receiver has said yes to
    withdrawn: set[str] = field(default_factory=set)  # people whose withdrawal was acknowledged
    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, fault: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.faults.append(fault)

    def start(self, person_id: str, webhook_id: str) -> None:
        """A message has reached the receiver."""
        ids = self.started.setdefault(person_id, set())
        self.seen["webhooks repeated"] += webhook_id in ids
        ids.add(webhook_id)
        self.check(person_id not in self.withdrawn, f"{person_id}: sent after the withdrawal")


@contextlib.asynccontextmanager
async def receiver(ledger: Ledger, *sockets: socket.socket) -> AsyncIterator[int]:
    """Takes webhooks, sometimes slowly, sometimes not at all; yields its port.

    Without sockets that listen it makes one, on loopback.
    """

    async def take(request: web.Request) -> web.Response:
        told, webhook_id = await request.json(), request.headers["webhook-id"]
        ledger.start(told["data"]["person_id"], webhook_id)
        if ledger.rng.random() < FAIL_SHARE:
            ledger.seen["webhooks refused"] += 1
            return web.Response(status=500)
        await asyncio.sleep(ledger.rng.uniform(0, 0.02))
        ledger.taken.add(webhook_id)
        return web.Response(status=204)

    sockets = sockets or (socket.create_server(("127.0.0.1", 0)),)
    port = sockets[0].getsockname()[1]
    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for one in sockets:
        await web.SockSite(runner, one).start()
    try:
        yield port
    finally:
        await runner.cleanup()


class Line:
    """How to speak to one process, which may be gone."""

    def __init__(self, session: aiohttp.ClientSession, url_of: Callable[[], str]) -> None:
        self._session = session
        self._url_of = url_of

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, if it was acknowledged; None if it was not."""
        try:
            url = self._url_of() + path
            async with self._session.request(method, url, json=body) as reply:
                told = await reply.json()
                return told if reply.status == 200 else None
        except (aiohttp.ClientError, OSError):
            return None

    async def post(self, rows: Any) -> Any:
        """What is told to whoever posts location reports."""
        return await self.call("POST", "/v1/pings", rows)

    async def person(self, name: str) -> Any:
        """What is known of somebody; nothing where nobody is known."""
        return await self.call("GET", f"/v1/people/{name}") or {}

    async def withdraw(self, name: str) -> Any:
        """Say that somebody is not to be located any more."""
        return await self.call("DELETE", f"/v1/people/{name}/consents/location")

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing is on its way."""

        async def is_empty() -> bool:
            told = [
                await self.call("GET", f"/v1/outbox?status={status}&limit=1")
                for status in ("pending", "leased")
            ]
            return all(one is not None and not one["sends"] for one in told)

        await until(is_empty, timeout_s)


def session(**options: Any) -> aiohttp.ClientSession:
    """For lines."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S), **options)


def fired(known: Any) -> int:
    """How many triggers have fired for somebody."""
    return sum(row["outcome"] == "fired" for row in known.get("decisions", ()))


def inside(known: Any) -> int:
    """In how many zones somebody is."""
    return sum(stay["inside"] for stay in known.get("presences", ()))


def parser(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """What every campaign is told."""
    made = argparse.ArgumentParser(description=doc.split("\n")[0] if doc else None)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--seed", type=int, default=int(time.time()))
    return made


def progress(number: int, rounds: int, what: str) -> None:
    """Say on a terminal how far it is."""
    if sys.stdout.isatty():
        print(f"\r{number}/{rounds} {what}", end="", flush=True)


def conclude(ledger: Ledger, seed: int, people: int, began_s: float) -> int:
    """Say what was found; the exit code."""
    for fault in ledger.faults[:20]:
        print(fault)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(ledger.seen.items()))
    print(
        f"seed {seed}: {people} people, {counts}; "
        f"{len(ledger.faults)} faults in {time.monotonic() - began_s:.0f} s"
    )
    return 1 if ledger.faults else 0
