"""A campaign's frame: a receiver, processes of the service, people; and the account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.ledger import Ledger, conclude, parser, progress, receiver
from tests.faults.shared.account import account
from tests.faults.shared.crowd import KINDS, Crowd
from tests.faults.shared.services import CATALOGUE, Service, serving
from tests.faults.shared.sides import inside, listening
from tests.servers.places import Loopback, Place
from tests.servers.server import binaries

DRAIN_S = 90.0  # rows in the hands of nobody come back with their lease, after 60

Run = Callable[[int, int, Path, bool], Coroutine[Any, Any, Crowd]]


@dataclass
class Trial:
    """What a round is given."""

    crowd: Crowd
    services: list[Service]
    rounds: int

    @property
    def rng(self) -> random.Random:
        return self.crowd.ledger.rng

    def count(self, what: str) -> None:
        """Note that it has happened."""
        self.crowd.ledger.seen[what] += 1

    def done(self, number: int) -> None:
        """Note the end of a round."""
        progress(number, self.rounds, f"{len(self.crowd.people)} people")


@contextlib.asynccontextmanager
async def trial(
    directory: Path,
    seed: int,
    rounds: int,
    state_urls: Sequence[str],
    *,
    kinds: Counter[str] = KINDS,
    places: Sequence[Place] = (Loopback(), Loopback()),
    settings: Mapping[str, str] | None = None,
    is_believing: bool = False,
) -> AsyncIterator[Trial]:
    """Two processes, each with its own way to the state, and at the end everybody's account."""
    ledger = Ledger(random.Random(seed))
    async with receiver(ledger, *listening(places)) as port:
        catalogue = CATALOGUE.format(port=port)
        services = [
            Service(directory / name, catalogue, url, place=place, settings=settings)
            for name, url, place in zip("ab", state_urls, places, strict=True)
        ]
        async with serving(ledger, *services) as lines:
            crowd = Crowd(ledger, lines, kinds, is_believing=is_believing)
            try:
                yield Trial(crowd, services, rounds)
                await crowd.settle(DRAIN_S)
            finally:
                for task in crowd.stopping:
                    task.cancel()
    reading = partial(asyncio.run, account(ledger, state_urls[0]))
    await asyncio.to_thread(inside, places[0], reading)


def binary() -> str:
    """The server there is: what most people run, where it is installed."""
    return next(iter(binaries().values()))


def main(doc: str | None, run: Run, rounds: int = 100) -> int:
    """Run, and say what was found."""
    options = parser(doc, rounds)
    options.add_argument("--careless", action="store_true", help="what must be found out")
    given, began_s = options.parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        crowd = asyncio.run(run(given.rounds, given.seed, Path(name), given.careless))
    return conclude(crowd.ledger, given.seed, len(crowd.people), began_s)
