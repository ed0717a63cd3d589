"""Services over a state on this machine, and what a load costs all who take part.

Where the state is and how many processes serve is an arrangement. A session is one of them at work:
loads come from a client of its own, and what each process took is counted beside the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import keeping
import numpy as np
from crowd.agreement import samples
from http_load import Found, Job, run
from posting import Phase, Workload, expected, told
from serving import Served, served

POST = 500
PATIENCE_S = 120.0  # for posts that have no time limit but their number
# Of all devices before anything is counted: those that were inside when they were first heard of
# have dwelled by then, and what happens from then on is what goes on happening.
WARM_ROUNDS = 4
EMBEDDED = "embedded"
ONE = "Valkey, one process"


@dataclass(frozen=True)
class Arrangement:
    """Where the state is, and how many processes serve."""

    name: str
    place: keeping.Place
    services: int = 1  # each on a port of its own, with its share of the connections
    workers: int = 1  # of each service, on one port, with whatever the kernel gives each


ARRANGEMENTS = (
    Arrangement(EMBEDDED, keeping.embedded),
    Arrangement(ONE, keeping.alone("valkey")),
    Arrangement("Valkey, two processes", keeping.alone("valkey"), services=2),
    Arrangement("Valkey, two workers on a port", keeping.alone("valkey"), workers=2),
    Arrangement("Valkey, 32 partitions, one process", keeping.alone("valkey", partitions=32)),
    Arrangement(
        "Valkey, 32 partitions, two processes", keeping.alone("valkey", partitions=32), services=2
    ),
    Arrangement("Redis 7.0, one process", keeping.alone("redis")),
    Arrangement("Cluster of 3+3, one process", keeping.cluster),
)


@dataclass
class Spent:
    """What has been spent so far, or during a load."""

    clock_s: float
    service_s: float  # of processor time
    server_s: float
    machine_s: float  # of everybody on it
    calls: int  # of server-side functions
    told_bytes: int  # to the servers
    answered_bytes: int
    logged_bytes: int
    transitions: int  # entries, dwells, exits, crossings

    def since(self, before: Spent) -> Spent:
        """What has been spent since."""
        return Spent(
            *(getattr(self, one.name) - getattr(before, one.name) for one in fields(Spent))
        )


@dataclass
class Run:
    """What one arrangement did with one load."""

    found: Found
    pings: int  # acknowledged
    spent: Spent

    @property
    def per_s(self) -> float:
        """Pings acknowledged a second."""
        return self.pings / self.found.seconds

    @property
    def others(self) -> float:
        """What share of the machine others took meanwhile."""
        ours_s = self.spent.service_s + self.spent.server_s + self.found.cpu_s
        return (self.spent.machine_s - ours_s) / self.spent.clock_s / (os.cpu_count() or 1)

    @property
    def refused(self) -> int:
        """Requests not answered with 200."""
        return sum(self.found.statuses.values()) - self.found.statuses[200]

    def each(self, spent: float) -> float:
        """So much for a ping."""
        return spent / max(self.pings, 1)

    def latency_ms(self, percent: float) -> float:
        """From when a request was due to when its answer was read."""
        return float(np.percentile(self.found.latencies_ms, percent))


class Session:
    """Services over one state, and their loads; what was told is kept, to be checked at the end."""

    def __init__(
        self, services: list[Served], keep: keeping.Keep, workload: Workload, lanes: int
    ) -> None:
        self.services, self._keep = services, keep
        self._workload, self._lanes = workload, lanes
        self._at = 0
        self._accepted: list[int] = []
        self._told: set[str] = set()

    def load(self, count: int, seconds: float, *, size: int, rate: float = 0.0) -> Run:
        """The next ``count`` fixes in posts of ``size``."""
        phase = Phase.of(self._workload, self._at, self._at + count, lanes=self._lanes, size=size)
        self._at += count
        ports = tuple(service.ingest_port for service in self.services)
        load = run(Job(ports, phase.requests, seconds, rate, is_awake=False))
        next(load)
        before = self._spent()
        found = next(load)
        assert found is not None
        spent = self._spent().since(before)
        accepted = phase.accepted(found)
        self._accepted += accepted
        self._told |= told(found.told)
        return Run(found, len(accepted), spent)

    def check(self) -> tuple[int, int]:
        """How many events a replay of the accepted fixes tells; of how many the answers differ."""
        right = expected(self._workload, self._accepted)
        return len(right), len(right ^ self._told)

    def _spent(self) -> Spent:
        kinds = (samples(service.page("/metrics")) for service in self.services)
        return Spent(
            time.monotonic(),
            sum(service.cpu_s() for service in self.services),
            self._keep.cpu_s(),
            machine_s(),
            self._keep.told("commandstats", "cmdstat_fcall", "calls="),
            self._keep.told("stats", "total_net_input_bytes"),
            self._keep.told("stats", "total_net_output_bytes"),
            self._keep.told("persistence", "aof_current_size"),
            sum(
                count
                for counts in kinds
                for name, count in counts.items()
                if name.startswith("geoengine_transitions_total")
            ),
        )


def machine_s() -> float:
    """Processor seconds that everybody on this machine has used since it started."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _wait, *interrupts = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def arranged(
    arrangement: Arrangement, folder: Path, workload: Workload, lanes: int
) -> Iterator[Session]:
    """An arrangement at work."""
    with ExitStack() as stack:
        keep = stack.enter_context(arrangement.place(folder / "state"))
        workers = ("--workers", str(arrangement.workers))
        services = [
            stack.enter_context(served(workload.config, keep.state, options=workers))
            for _ in range(arrangement.services)
        ]
        yield Session(services, keep, workload, lanes)
