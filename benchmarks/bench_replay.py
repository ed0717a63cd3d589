"""Replay from file to events: one process, one core, decoding and start-up included.

    python benchmarks/bench_replay.py [--fixes 1000000] [--rounds 3]

makes the seeded workload, replays it with the command as a user would, and writes
benchmarks/results/replay.md. The yardstick in the same run is the standard library's JSON parser
over the same lines: it does nothing with them, so the ratio tells of the machine as little as can
be. CPU time is given beside the wall's: on a shared machine the wall's says who else was there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "replay.md"
COMMAND = (sys.executable, "-c", "from geoengine.cli import main; main()", "replay")


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    told: str

    @classmethod
    def of(cls, words: list[str]) -> Cost:
        """Run a command on one core."""
        started = time.perf_counter()
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        told = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        assert status == 0, told
        return cls(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, told)


def yardstick_s(trace: Path) -> float:
    """CPU seconds that the standard library takes to parse the trace's lines."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with trace.open("rb") as lines:
        for line in lines:
            json.loads(line)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Make, replay, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        there = Path(name)
        sizes = ["--zones", options.zones, "--devices", options.devices, "--fixes", options.fixes]
        words = [sys.executable, HERE / "workload.py", *sizes, "--out", there]
        made = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
        report = measured(there, options.fixes, options.rounds)
    text = f"# Replay\n\n{machine()}\n\nWorkload: {made.stdout.strip()}\n\n{report}"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)
    print(text)


def measured(there: Path, fixes: int, rounds: int) -> str:
    """The table: one row a round, and what the replay said of itself."""
    out, trace = there / "events.ndjson", there / "trace.ndjson"
    words = [*COMMAND, "--config", str(there / "config"), str(trace), "--out", str(out)]
    lines = ["| round | wall s | CPU s | fixes per CPU s | fixes per s | times stdlib JSON | MB |"]
    lines.append("|---|---|---|---|---|---|---|")
    digests, told = set(), ""
    for number in range(1, rounds + 1):
        base_s = yardstick_s(trace)
        cost = Cost.of(words)
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
        told = cost.told
        lines.append(
            f"| {number} | {cost.wall_s:.1f} | {cost.cpu_s:.1f} | {fixes / cost.cpu_s:,.0f} "
            f"| {fixes / cost.wall_s:,.0f} | {cost.cpu_s / base_s:.2f} | {cost.peak_mb:.0f} |"
        )
    assert len(digests) == 1, "the same input gave other bytes"
    return "\n".join(lines) + f"\n\nSame bytes each round.\n\n```\n{told}```\n"


def machine() -> str:
    """When and on what."""
    day = time.strftime("%Y-%m-%d")
    load = f"load {os.getloadavg()[0]:.1f} before"
    python = f"Python {platform.python_version()}"
    return f"{day}, {platform.machine()}, {os.cpu_count()} cores, {load}, {python}"


if __name__ == "__main__":
    main()
