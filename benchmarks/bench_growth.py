"""What a fix costs as things grow: zones, batches, the share of fixes inside, devices.

    python benchmarks/bench_growth.py [--rounds 3] [--zones 1000 10000 100000 1000000]

One thing grows at a time, the others stay at 10,000 zones, batches of 4,096, a tenth inside and
50,000 devices: the yardstick. Each point is a pass of the seeded workload through the whole step,
as `bench_step` times it in CPU time, with the match alone on the same batches; and right before
it, every time, a pass of the yardstick, because the machine's speed drifts by more than the curves
do. What is shown is the median of the ratios, times the yardstick at its best. The table and the
plot go to benchmarks/results/growth.md and growth.svg; the plot needs matplotlib (extra `bench`).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import workload
from bench_step import Run, machine, made, passed

from geoengine.core.book import Book
from geoengine.core.columns import Fixes
from geoengine.state.collector import rare_collection

RESULTS = Path(__file__).parent / "results"
ZONES = [1_000, 10_000, 100_000, 1_000_000]
BATCHES = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384]
INSIDE_STEPS = [2.0, 8.0, 17.5, 40.0, 80.0]  # of a device's round of 200
DEVICES = [2_000, 10_000, 50_000, 250_000]
FIXES_LEAST = 400_000
FIXES_EACH = 10  # of a device at least: the first say that it is there, and little else
SMALL_BATCH_FIXES = 5_000  # batches below 256 are so dear that a part of the trace will do
PART_FIXES = 80_000  # of the trace are enough for the yardstick


NOTES = """\
Why the curves bend:

- **Batch** bends most. A batch of one costs 0.2 ms: some two hundred calls of numpy for a handful
  of numbers, and the loop around them. The next dozen add about 20 microseconds each, because a few
  are dealt with one by one (zones of a fix below 24 fixes, ways below 12, people at rest up to 16)
  and somebody enters or leaves now and then; from a few dozen on a fix adds 4 to 5, and the fixed
  part shrinks among them. Beyond 4,096 what is left is the Python of those who enter, dwell or
  leave, and the fixed cost of the commit.
- **Zones** cost the match a factor of two from a thousand to a million, because its tables (250
  bytes a zone) outgrow the processor's caches: the work a fix does is the same, one byte of the
  raster for most. The whole step hardly notices; the share of transitions, which differs by a
  sixth, weighs as much.
- **Share inside**: level from 3 to 10 %, since somebody who only stays costs a few columns and no
  record; from 20 % on the match has an exact distance to work out for every fifth fix, and each
  stay is compared. What costs is the transition, and there are as many at every share.
- **Devices**: level. A device costs a hash and two reads that miss the caches once there are more
  than some ten thousand; that is a tenth of a microsecond beside the rest.

The ratios of single passes scatter by a quarter, as the machine does: read no more than that into a
step between two neighbours.
"""


@dataclass
class Point:
    """One setting, and what a fix cost there, as multiples of what it cost at the yardstick."""

    panel: str
    label: str
    at: float  # where it stands on the axis
    zone_count: int = 10_000
    device_count: int = 50_000
    batch_size: int = 4_096
    inside_steps: float = workload.INSIDE_STEPS
    step_ratios: list[float] = field(default_factory=list)
    match_ratios: list[float] = field(default_factory=list)
    changes: float = 0.0  # transitions a fix

    def note(self, run: Run, yardstick: Run) -> None:
        """Add a pass, and the one before it at the yardstick."""
        self.step_ratios.append(step_us(run) / step_us(yardstick))
        self.match_ratios.append(match_us(run) / match_us(yardstick))
        kinds = ("enter", "dwell", "exit", "crossed")
        self.changes = sum(run.counts[kind] for kind in kinds) / run.fixes


def step_us(run: Run) -> float:
    """The whole step, microseconds a fix; the median of the tenths."""
    return statistics.median(run.slices_us)


def match_us(run: Run) -> float:
    """The match alone, microseconds a fix."""
    return 1e6 * run.match_s / run.fixes


@dataclass
class Growth:
    """All points, and the yardstick at its best."""

    points: list[Point]
    step_us: float = float("inf")
    match_us: float = float("inf")

    def step_of(self, point: Point) -> float:
        """What a fix cost in the whole step, microseconds."""
        return self.step_us * statistics.median(point.step_ratios)

    def match_of(self, point: Point) -> float:
        """What a fix cost in the match alone, microseconds."""
        return self.match_us * statistics.median(point.match_ratios)

    def rows(self) -> Iterator[str]:
        """Lines of the table."""
        for point in self.points:
            low, high = min(point.step_ratios), max(point.step_ratios)
            yield (
                f"| {point.panel} | {point.label} | {self.match_of(point):.3f} "
                f"| {self.step_of(point):.2f} | {low:.2f} to {high:.2f} | {point.changes:.2%} |\n"
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


World = tuple[Book, Fixes, str]
Worlds = dict[tuple[int, int, float], World]  # by zones, devices and steps inside


def worlds(points: list[Point]) -> Worlds:
    """The catalogue and the trace of each point; those that are alike are made once."""
    found: Worlds = {}
    for point in points:
        key = point.zone_count, point.device_count, point.inside_steps
        if key not in found:
            workload.INSIDE_STEPS = point.inside_steps
            fix_count = max(FIXES_LEAST, FIXES_EACH * point.device_count)
            found[key] = made(point.zone_count, point.device_count, fix_count)
            print(found[key][2], flush=True)
    return found


def measure(growth: Growth, rounds: int) -> None:
    """Every point, round after round, each behind the yardstick."""
    usual = Point("", "", 0.0)
    made_of = worlds([usual, *growth.points])
    with rare_collection():  # as the service has it
        measure_of(growth, made_of, usual, rounds)


def measure_of(growth: Growth, made_of: Worlds, usual: Point, rounds: int) -> None:
    """The rounds."""
    for number in range(rounds):
        for point in growth.points:
            yardstick = passed_at(usual, made_of, PART_FIXES)
            most = SMALL_BATCH_FIXES if point.batch_size < 256 else None
            point.note(passed_at(point, made_of, most), yardstick)
            growth.step_us = min(growth.step_us, step_us(yardstick))
            growth.match_us = min(growth.match_us, match_us(yardstick))
        print(f"round {number + 1} of {rounds}", flush=True)


def passed_at(point: Point, made_of: Worlds, most: int | None) -> Run:
    """A pass at one setting; where its share inside came out is its place on that axis."""
    book, fixes, told = made_of[point.zone_count, point.device_count, point.inside_steps]
    if point.panel == "share inside":
        point.label = told.split("; ")[1].split(" ")[0]
        point.at = float(point.label.rstrip("%"))
    return asyncio.run(passed(book, fixes, point.batch_size, most))


def plot(growth: Growth, path: Path) -> None:
    """Four panels: microseconds a fix against what grows."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(point.panel for point in growth.points))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3.4))
    for axis, panel in zip(axes, panels, strict=True):
        own = [point for point in growth.points if point.panel == panel]
        places = [point.at for point in own]
        axis.plot(places, [growth.step_of(point) for point in own], "o-", label="whole step")
        axis.plot(places, [growth.match_of(point) for point in own], "s--", label="match alone")
        axis.set_xscale("linear" if panel == "share inside" else "log")
        axis.set_yscale("log" if panel == "batch" else "linear")
        if panel != "batch":
            axis.set_ylim(bottom=0)
        axis.set_xlabel(f"{panel}, %" if panel == "share inside" else panel)
        axis.set_ylabel("microseconds a fix")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


HEADER = """\
| grows | to | match, us | step, us | of the yardstick | transitions |
|---|---|---|---|---|---|
"""


def main() -> None:
    """Measure, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--zones", type=int, nargs="+", default=ZONES)
    asked = parser.parse_args()
    began = machine()
    growth = Growth(list(points(asked.zones)))
    measure(growth, asked.rounds)
    text = f"# Growth\n\n{began}; {asked.rounds} rounds\n\n" + HEADER + "".join(growth.rows())
    print(text)
    plot(growth, RESULTS / "growth.svg")
    text += "\n![cost per fix](growth.svg)\n\n" + NOTES
    (RESULTS / "growth.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
