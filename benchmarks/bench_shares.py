"""What a ping costs over a shared state, by the share of pings that change something.

    python benchmarks/bench_shares.py [--zones 10000] [--rounds 3] [--ashore 0 0.25 0.5 1]

The workload with some of its devices moved out to sea, where there is no zone: their pings change
nothing but a last fix. What the service counts as a transition (an entry, a dwell, an exit, a
crossing) is the measure, which an operator can read at /metrics. The line through the points, by
least squares, says what a ping costs and what a transition adds. Results go to
benchmarks/results/shares.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from arrangements import ARRANGEMENTS, EMBEDDED, ONE, PATIENCE_S, POST, WARM_ROUNDS, Run, arranged
from posting import Workload
from revision import commit

RESULTS = Path(__file__).parent / "results" / "shares.md"
FIGURES: dict[str, Callable[[Run], float]] = {
    "service µs": lambda run: 1e6 * run.each(run.spent.service_s),
    "servers µs": lambda run: 1e6 * run.each(run.spent.server_s),
    "calls": lambda run: run.each(run.spent.calls),
    "bytes to the servers": lambda run: run.each(run.spent.told_bytes),
    "bytes from them": lambda run: run.each(run.spent.answered_bytes),
    "bytes logged": lambda run: run.each(run.spent.logged_bytes),
}
Point = tuple[str, float]  # an arrangement, and the share ashore


def measure(options: argparse.Namespace) -> dict[Point, list[Run]]:
    """Rounds of all points in turn."""
    found: dict[Point, list[Run]] = {}
    wanted = [each for each in ARRANGEMENTS if each.name in options.states]
    for number in range(options.rounds):
        for ashore in options.ashore:
            for each in wanted:
                with tempfile.TemporaryDirectory() as name:
                    workload = Workload.make(
                        Path(name),
                        zone_count=options.zones,
                        devices=options.devices,
                        count=WARM_ROUNDS * options.devices + options.fixes,
                        ashore=ashore,
                    )
                    with arranged(each, Path(name), workload, options.lanes) as session:
                        session.load(WARM_ROUNDS * options.devices, PATIENCE_S, size=POST)
                        run = session.load(options.fixes, PATIENCE_S, size=POST)
                found.setdefault((each.name, ashore), []).append(run)
                said = ", ".join(f"{name} {figure(run):.2f}" for name, figure in FIGURES.items())
                print(
                    f"round {number + 1}, {each.name}, {transitions(run):.2%}: {said}; "
                    f"others took {run.others:.0%}",
                    flush=True,
                )
    return found


def transitions(run: Run) -> float:
    """Transitions a ping."""
    return run.each(run.spent.transitions)


def page(found: dict[Point, list[Run]], options: argparse.Namespace) -> str:
    """The results."""
    names = list(dict.fromkeys(name for name, _ in found))
    others = [run.others for runs in found.values() for run in runs]
    lines = [
        "# A ping, by the share of pings that change something",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with others, who took {min(others):.0%} to {max(others):.0%} of them, Python "
        f"{platform.python_version()}, commit {commit()}; `python benchmarks/bench_shares.py "
        f"--zones {options.zones} --devices {options.devices} --fixes {options.fixes} --lanes "
        f"{options.lanes} --rounds {options.rounds}`. Medians of the rounds, for a ping; posts of "
        f"{POST}, every commit synced.",
        "",
        "| state | transitions | " + " | ".join(FIGURES) + " |",
        "|---|" + "--:|" * (len(FIGURES) + 1),
        *(_row(name, runs) for (name, _), runs in found.items()),
        "",
        "A ping, and what a transition adds to it, by the line through all runs:",
        "",
        "| state | " + " | ".join(FIGURES) + " |",
        "|---|" + "--:|" * len(FIGURES),
        *(_fit(name, [run for (own, _), runs in found.items() if own == name for run in runs])
          for name in names),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(name: str, runs: list[Run]) -> str:
    cells = [f"{statistics.median(map(figure, runs)):.3g}" for figure in FIGURES.values()]
    return f"| {name} | {statistics.median(map(transitions, runs)):.2%} | {' | '.join(cells)} |"


def _fit(name: str, runs: list[Run]) -> str:
    shares = np.array([transitions(run) for run in runs])
    cells = []
    for figure in FIGURES.values():
        slope, base = np.polyfit(shares, [figure(run) for run in runs], 1)
        cells.append(f"{base:.3g} + {slope:,.0f}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=100_000)
    parser.add_argument("--ashore", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--states", nargs="+", default=[EMBEDDED, ONE, "Redis 7.0, one process"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.write_text(page(measure(options), options), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
