"""What a fix costs as things grow: zones, batches, the share of fixes inside, devices.

    python benchmarks/bench_growth.py [--rounds 2] [--zones 1000 10000 100000 1000000]

One thing grows at a time, the others stay at 10,000 zones, batches of 4,096, a tenth inside and
50,000 devices. Each point is a pass of the seeded workload through the whole step, as
`bench_step` times it, with the match alone beside it on the same batches: CPU time, the best of
the tenths of all rounds. The table and the plot go to benchmarks/results/growth.md and growth.svg;
the plot needs matplotlib (the extra `bench`).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import workload
from bench_step import Run, machine, made, passed

from geoengine.core.book import Book
from geoengine.core.columns import Fixes

RESULTS = Path(__file__).parent / "results"
ZONES = [1_000, 10_000, 100_000, 1_000_000]
BATCHES = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384]
INSIDE_STEPS = [2.0, 8.0, 17.5, 40.0, 80.0]  # of a device's round of 200
DEVICES = [2_000, 10_000, 50_000, 200_000, 1_000_000]
FIXES_LEAST = 400_000
SMALL_BATCH_FIXES = 5_000  # batches of so few are so dear that a part of the trace will do


NOTES = """\
Why the curves bend:

"""


@dataclass
class Point:
    """One setting, and what a fix cost there in microseconds."""

    panel: str
    label: str
    at: float  # where it stands on the axis
    zone_count: int = 10_000
    device_count: int = 50_000
    batch_size: int = 4_096
    inside_steps: float = workload.INSIDE_STEPS
    runs: list[Run] = field(default_factory=list)

    @property
    def step_us(self) -> float:
        """The whole step, the best tenth."""
        return min(us for run in self.runs for us in run.slices_us)

    @property
    def match_us(self) -> float:
        """The match alone, the best round."""
        return min(1e6 * run.match_s / run.fixes for run in self.runs)

    @property
    def changes(self) -> float:
        """Transitions a fix."""
        run = self.runs[0]
        kinds = ("enter", "dwell", "exit", "crossed")
        return sum(run.counts[kind] for kind in kinds) / run.fixes

    def row(self) -> str:
        """A line of the table."""
        return (
            f"| {self.panel} | {self.label} | {self.match_us:.3f} | {self.step_us:.2f} "
            f"| {self.changes:.2%} |"
        )


def points(zone_counts: list[int]) -> Iterator[Point]:
    """Everything that is measured, those with the same catalogue and trace together."""
    for count in zone_counts:
        yield Point("zones", f"{count:,}", count, zone_count=count)
    for size in BATCHES:
        yield Point("batch", f"{size:,}", size, batch_size=size)
    for steps in INSIDE_STEPS:
        yield Point("share inside", "", steps, inside_steps=steps)
    for count in DEVICES:
        yield Point("devices", f"{count:,}", count, device_count=count)


def measured(point: Point, rounds: int, world: tuple[Book, Fixes, str]) -> None:
    """Run a point; what its share of fixes inside came out as is its place on that axis."""
    book, fixes, told = world
    if point.panel == "share inside":
        point.label = told.split("; ")[1].split(" ")[0]
        point.at = float(point.label.rstrip("%"))
    most = SMALL_BATCH_FIXES if point.batch_size < 256 else None
    for _ in range(rounds):
        point.runs.append(asyncio.run(passed(book, fixes, point.batch_size, most)))


def plot(done: list[Point], path: Path) -> None:
    """Four panels: microseconds a fix against what grows."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(point.panel for point in done))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3.4))
    for axis, panel in zip(axes, panels, strict=True):
        own = [point for point in done if point.panel == panel]
        places = [point.at for point in own]
        axis.plot(places, [point.step_us for point in own], "o-", label="whole step")
        axis.plot(places, [point.match_us for point in own], "s--", label="match alone")
        axis.set_xscale("linear" if panel == "share inside" else "log")
        axis.set_yscale("log" if panel == "batch" else "linear")
        axis.set_xlabel(f"{panel}, %" if panel == "share inside" else panel)
        axis.set_ylabel("microseconds a fix")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--zones", type=int, nargs="+", default=ZONES)
    asked = parser.parse_args()
    text = f"# Growth\n\n{machine()}\n\n| grows | to | match, us | step, us | transitions |\n"
    text += "|---|---|---|---|---|\n"
    print(text, end="")
    done: list[Point] = []
    key, world = None, None
    for point in points(asked.zones):
        wanted = (point.zone_count, point.device_count, point.inside_steps)
        if world is None or key != wanted:
            workload.INSIDE_STEPS = point.inside_steps
            fix_count = max(FIXES_LEAST, 3 * point.device_count)
            key, world = wanted, made(point.zone_count, point.device_count, fix_count)
        measured(point, asked.rounds, world)
        done.append(replace(point))
        print(point.row(), flush=True)
        text += point.row() + "\n"
    plot(done, RESULTS / "growth.svg")
    text += "\n![cost per fix](growth.svg)\n\n" + NOTES
    (RESULTS / "growth.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
