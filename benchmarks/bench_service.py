"""The service under load: acknowledged single pings at a steady rate, and posts of 500.

    python benchmarks/bench_service.py [--rate 200] [--seconds 20] [--connections 50]

The service is a process of its own with the embedded state on disk, every durable commit synced.
The load generator is another: it sends on schedule, whatever the answers do (no coordinated
omission: a late answer delays nobody, and its lateness counts from when it was due), over
keep-alive connections. Devices walk in and out of zones, so that part of the pings commit.
Results go to benchmarks/results/service.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

STORES = 1_000
RESULTS = Path(__file__).parent / "results" / "service.md"
SERVE = "from geoengine.cli import main; main()"


@dataclass
class Load:
    """What one run found."""

    name: str
    seconds: float = 0.0
    pings: int = 0
    requests: int = 0
    events: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0  # of the service alone
    others: float = 0.0  # the machine's load average, when the run ended

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that this share of the requests did not exceed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def row(self) -> str:
        """A line of the results table."""
        refused = sum(count for status, count in self.statuses.items() if status != 200)
        return (
            f"| {self.name} | {self.requests / self.seconds:,.0f} "
            f"| {self.pings / self.seconds:,.0f} | {self.events:,} "
            f"| {statistics.median(self.latencies_ms):.1f} | {self.percentile(0.99):.1f} "
            f"| {max(self.latencies_ms):.1f} | {refused} "
            f"| {1e3 * self.cpu_s / self.requests:.2f} | {1e6 * self.cpu_s / self.pings:,.0f} "
            f"| {self.others:.1f} |"
        )


def catalogue(directory: Path, seed: int) -> list[tuple[float, float]]:
    """A thousand stores of 300 m over France; where they are."""
    rng = random.Random(seed)
    places = [(rng.uniform(43.5, 50.0), rng.uniform(-1.0, 6.0)) for _ in range(STORES)]
    rows = [
        f"s{ix},Store {ix},{lat:.6f},{lon:.6f},300,city" for ix, (lat, lon) in enumerate(places)
    ]
    text = "id,name,lat,lon,radius_m,setting\n" + "\n".join(rows) + "\n"
    (directory / "stores.csv").write_text(text, "utf-8")
    (directory / "geoengine.yaml").write_text(
        "stores:\n  - import: stores.csv\n"
        "campaigns:\n  - id: hello\n    on: enter\n    levers: [log]\n"
        '    message: {en: "Five minutes to {store}."}\n    caps: [{max: 3, per: day}]\n'
        "engine:\n  consent: {location: assumed}\n",
        "utf-8",
    )
    return places


class Walkers:
    """Devices that come near a store and go away again, each at its own time and at a walk.

    The distance swings between 200 m and 2.8 km within 21 minutes, never faster than 7 m/s; the
    zone's radius is 300 m, so about a tenth of the reports lie inside.
    """

    def __init__(self, places: list[tuple[float, float]], count: int, seed: int) -> None:
        self._rng = random.Random(seed)
        self._places = places
        self._count = count

    def ping(self) -> dict[str, object]:
        """The next report of some device, now."""
        rng, now_s = self._rng, time.time()
        device = rng.randrange(self._count)
        lat, lon = self._places[device % len(self._places)]
        away_m = 1_500 + 1_300 * math.sin(0.005 * now_s + device)
        return {
            "device_id": f"device-{device}",
            "lat": round(lat + away_m / 111_320, 6),
            "lon": round(lon, 6),
            "accuracy_m": 10,
            "fix_time": round(now_s, 3),
        }


async def run_load(
    url: str, walkers: Walkers, *, name: str, rate: float, seconds: float, size: int, lanes: int
) -> Load:
    """Send ``rate`` posts of ``size`` pings a second, due at fixed times, over ``lanes``."""
    load = Load(name)
    due: asyncio.Queue[float | None] = asyncio.Queue()
    connector = aiohttp.TCPConnector(limit=lanes)
    began_s = time.perf_counter()

    async def lane(session: aiohttp.ClientSession) -> None:
        while (due_s := await due.get()) is not None:
            rows = [walkers.ping() for _ in range(size)]
            body = json.dumps(rows if size > 1 else rows[0]).encode()
            async with session.post(url + "/v1/pings", data=body) as reply:
                told = await reply.json(content_type=None)
            load.latencies_ms.append((time.perf_counter() - due_s) * 1e3)
            load.statuses[reply.status] = load.statuses.get(reply.status, 0) + 1
            load.requests += 1
            load.pings += told.get("accepted", 0)
            load.events += len(told.get("events", ()))

    async with aiohttp.ClientSession(connector=connector) as session:
        lanes_running = [asyncio.create_task(lane(session)) for _ in range(lanes)]
        for turn in range(int(rate * seconds)):
            due_s = began_s + turn / rate
            await asyncio.sleep(max(due_s - time.perf_counter(), 0))
            due.put_nowait(due_s)
        for _ in lanes_running:
            due.put_nowait(None)
        await asyncio.gather(*lanes_running)
    load.seconds = time.perf_counter() - began_s
    return load


async def serve(directory: Path) -> tuple[asyncio.subprocess.Process, str]:
    """The service in a process of its own, and its address."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, "serve", "--config", str(directory / "config"),
        "--state", f"local:{directory / 'state.db'}", "--port", "0",
        stderr=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if not key.startswith("GEOENGINE")},
    )  # fmt: skip
    assert child.stderr is not None
    while line := (await child.stderr.readline()).decode():
        if '"serving"' in line:
            url = f"http://127.0.0.1:{json.loads(line)['port']}"
            asyncio.get_running_loop().create_task(_drain(child.stderr))
            return child, url
    raise SystemExit("the service did not start")


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used: what a noisy machine changes least."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(options: argparse.Namespace) -> list[Load]:
    """Every run, one after the other, against one service."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "config").mkdir()
        places = catalogue(directory / "config", options.seed)
        child, url = await serve(directory)
        walkers = Walkers(places, 20_000, options.seed)
        runs = [
            ("warm-up", options.rate, 3.0, 1),
            (f"single pings, {options.rate:g}/s", options.rate, options.seconds, 1),
            (f"single pings, {5 * options.rate:g}/s", 5 * options.rate, options.seconds, 1),
            ("posts of 500, 20/s", 20.0, options.seconds, 500),
        ]
        loads = []
        for name, rate, seconds, size in runs:
            before_s = cpu_s(child.pid)
            load = await run_load(
                url,
                walkers,
                name=name,
                rate=rate,
                seconds=seconds,
                size=size,
                lanes=options.connections,
            )
            load.cpu_s, load.others = cpu_s(child.pid) - before_s, os.getloadavg()[0]
            loads.append(load)
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
        return loads[1:]


def report(loads: list[Load], options: argparse.Namespace) -> str:
    """The results as a page."""
    lines = [
        "# The service under load",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores shared with "
        f"the load generator and others, Python {platform.python_version()}; "
        f"`python benchmarks/bench_service.py --rate {options.rate:g} --seconds "
        f"{options.seconds:g} --seed {options.seed}`.",
        "",
        f"{STORES:,} stores, 20,000 devices, a tenth of the pings inside a zone, "
        f"{options.connections} keep-alive connections, embedded state with every durable commit "
        "synced. Latency counts from when a post was due to when its answer was read.",
        "",
        "| load | posts/s | pings/s acknowledged | events | p50 ms | p99 ms | max ms | refused "
        "| service CPU, ms a post | µs a ping | load average |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(load.row() for load in loads),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    page = report(asyncio.run(measure(options)), options)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
