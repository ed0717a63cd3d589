"""How long a catalogue takes: to check, to start with, to start with again, and to be replaced.

    python benchmarks/bench_start.py [--zones 1000 10000 100000 1000000] [--rounds 3]

Each run is a process of its own. A start is timed until ``/readyz`` answers 200; its processor time
and peak memory include the processes it starts itself (of memory the largest one). The first start
finds no cache, the second the one that the first left. For the reload one zone in ten gets another
radius while pings are posted; a ticker in the service's own event loop, due every millisecond,
tells the longest time in which the loop did not come round. Results: benchmarks/results/start.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from revision import commit
from workload import write_catalogue, zones

from geoengine.core.places.zones import Zones

RESULTS = Path(__file__).parent / "results" / "start.md"
RUN = "from geoengine.cli import main; main()"
# The service with a ticker beside it; gaps of more than 5 ms are written down as they end.
TICKED = """
import asyncio, os, time, uvloop
from geoengine.cli import main

async def tick(file):
    last_s = time.perf_counter()
    while True:
        await asyncio.sleep(0.001)
        now_s = time.perf_counter()
        if now_s - last_s > 0.005:
            print(f"{now_s} {1e3 * (now_s - last_s):.2f}", file=file, flush=True)
        last_s = now_s

async def beside(work):
    with open(os.environ["TICKS"], "w") as file:
        ticking = asyncio.create_task(tick(file))
        try:
            return await work
        finally:
            ticking.cancel()

run = uvloop.run
uvloop.run = lambda work, **how: run(beside(work), **how)
main()
"""


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    seconds: float
    cpu_s: float
    peak_mb: float

    def cell(self) -> str:
        """Seconds, processor seconds, megabytes, as one cell of the table."""
        return f"{self.seconds:.2f} s, {self.cpu_s:.2f} s, {self.peak_mb:,.0f} MB"


@dataclass(frozen=True)
class Row:
    """One size of catalogue."""

    zone_count: int
    check: Cost
    first: Cost
    second: Cost
    settled_mb: float  # resident in the service after the second start
    reload_s: float
    stalls_ms: list[float]  # the longest gap of each reload
    idle_ms: list[float]  # the longest gap under the same pings in as much time before the reload


class Running:
    """A service in a process of its own."""

    def __init__(self, folder: Path, program: str = RUN) -> None:
        self.began_s = time.perf_counter()
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", program, "serve", "--config", str(folder / "config"),
                "--state", f"local:{folder / 'state.db'}", "--port", "0",
            ],
            stderr=subprocess.PIPE,
            env=environment(folder),
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self._port()}"
        threading.Thread(target=self._drain, daemon=True).start()
        while not self._is_ready():
            time.sleep(0.005)
        self.ready_s = time.perf_counter() - self.began_s

    def stop(self) -> Cost:
        """End it; what it took until it was ready, its peak over all its life."""
        cpu_s = cpu_of(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.process.returncode == 0, self.process.returncode
        return Cost(self.ready_s, cpu_s, used.ru_maxrss / 1024)

    def resident_mb(self) -> float:
        """What it holds in memory now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def version(self) -> str:
        """The catalogue in force."""
        with urllib.request.urlopen(self.url + "/healthz") as answer:
            return str(json.load(answer)["book_version"])

    def _port(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if b'"serving"' in line:
                return int(json.loads(line)["port"])
        raise SystemExit("the service did not start")

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for _ in self.process.stderr:
            pass

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/readyz") as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False


def environment(folder: Path) -> dict[str, str]:
    """Ours, with nothing of the engine in it and a cache of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GEOENGINE")}
    return kept | {"XDG_CACHE_HOME": str(folder / "cache"), "TICKS": str(folder / "ticks")}


def cpu_of(pid: int) -> float:
    """Processor seconds of a process and of those it started that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def check(folder: Path) -> Cost:
    """``geoengine check``."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "check", str(folder / "config")],
        stdout=subprocess.DEVNULL,
        env=environment(folder),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds = time.perf_counter() - began_s
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def start(folder: Path) -> tuple[Cost, float]:
    """A start until it is ready, and what the service then holds in memory."""
    service = Running(folder)
    resident_mb = service.resident_mb()
    return service.stop(), resident_mb


class Pings(threading.Thread):
    """Posts of 50 pings, twenty a second, near the zones and at them."""

    def __init__(self, url: str, made: Zones) -> None:
        super().__init__(daemon=True)
        self._url, self._zones = url, made
        self._over = threading.Event()

    def run(self) -> None:
        rng, made = np.random.default_rng(1), self._zones
        while not self._over.wait(0.05):
            rows = [
                {
                    "device_id": f"d{device}",
                    "lat": round(float(made.lat_deg[device]) + float(off), 6),
                    "lon": round(float(made.lon_deg[device]), 6),
                    "accuracy_m": 10,
                    "fix_time": round(time.time(), 3),
                }
                for device, off in zip(
                    rng.integers(0, min(len(made), 1_000), 50),
                    rng.choice([0, 0.02], 50),
                    strict=True,
                )
            ]
            body = json.dumps(rows).encode()
            with urllib.request.urlopen(self._url + "/v1/pings", data=body) as answer:
                assert answer.status == 200

    def end(self) -> None:
        """Send no more."""
        self._over.set()
        self.join()


def reload(folder: Path, made: Zones) -> tuple[float, float, float]:
    """Seconds until the change is in force, the longest gap meanwhile, and the longest without."""
    write_catalogue(changed(made), folder / "wider")
    service = Running(folder, TICKED)
    pings = Pings(service.url, made)
    pings.start()
    time.sleep(2.0)  # the first pings load what a service loads once
    before = service.version()
    quiet_s = time.perf_counter()
    time.sleep(min(max(3e-5 * len(made), 3.0), 30.0))
    began_s = time.perf_counter()
    os.replace(folder / "wider" / "stores.csv", folder / "config" / "stores.csv")
    while service.version() == before:
        time.sleep(0.02)
    ended_s = time.perf_counter()
    time.sleep(2.0)  # the old one is let go of, the new one is used for the first time
    pings.end()
    service.stop()
    write_catalogue(made, folder / "config")
    gaps = [tuple(map(float, line.split())) for line in (folder / "ticks").read_text().splitlines()]
    meanwhile = [gap_ms for at_s, gap_ms in gaps if at_s > began_s]
    without = [gap_ms for at_s, gap_ms in gaps if quiet_s < at_s <= began_s]
    return ended_s - began_s, max(meanwhile, default=0.0), max(without, default=0.0)


def changed(made: Zones) -> Zones:
    """The same with one zone in ten a little wider."""
    is_wider = np.arange(len(made)) % 10 == 0
    return replace(made, radius_m=np.where(is_wider, made.radius_m + 10, made.radius_m))


def measure(zone_count: int, rounds: int) -> Row:
    """Every run of one size, so many times; the median of the times, the worst of the stalls."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = zones(zone_count)
        write_catalogue(made, folder / "config")
        checks, firsts, seconds, reloads = [], [], [], []
        for _ in range(rounds):
            checks.append(check(folder))
            for path in (folder / "cache").rglob("*.book"):
                path.unlink()
            firsts.append(start(folder)[0])
            seconds.append(start(folder))
            reloads.append(reload(folder, made))
        return Row(
            zone_count,
            middle(checks),
            middle(firsts),
            middle([cost for cost, _resident_mb in seconds]),
            statistics.median(resident_mb for _cost, resident_mb in seconds),
            statistics.median(taken_s for taken_s, _stall, _idle in reloads),
            [stall_ms for _taken, stall_ms, _idle in reloads],
            [idle_ms for _taken, _stall, idle_ms in reloads],
        )


def spread(gaps_ms: list[float]) -> str:
    """The least, and in brackets the median."""
    return f"{min(gaps_ms):.0f} ms ({statistics.median(gaps_ms):.0f})"


def middle(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def report(rows: list[Row], rounds: int, label: str) -> str:
    """The results as a page."""
    asked = " ".join(str(row.zone_count) for row in rows)
    lines = [
        "# Starting and reloading",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores shared with "
        f"the load generator and others, Python {platform.python_version()}, "
        f"commit {label or commit()}; "
        f"`python benchmarks/bench_start.py --zones {asked} --rounds {rounds}`.",
        "",
        "Cells of the first three: until done or ready, processor time, peak of the largest "
        f"process; medians of {rounds}.",
        "",
        "The stall is the longest gap in the service's own event loop, seen by a ticker due every "
        "millisecond, from the change of the file until two seconds after the new catalogue was "
        f"in force. Of {rounds} reloads the least, and in brackets the median: a gap is also what "
        "others on the machine take. Beside it the same under the same pings with no reload.",
        "",
        "| zones | check | first start | second start | then resident | reload in force after "
        "| longest stall | without a reload |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.zone_count:,} | {row.check.cell()} | {row.first.cell()} | {row.second.cell()} "
        f"| {row.settled_mb:,.0f} MB | {row.reload_s:.2f} s | {spread(row.stalls_ms)} "
        f"| {spread(row.idle_ms)} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--label", default="", help="Instead of the commit's own.")
    options = parser.parse_args()
    rows = [measure(count, options.rounds) for count in options.zones]
    page = report(rows, options.rounds, options.label)
    options.out.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
