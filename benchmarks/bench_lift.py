"""How often the interval of the lift holds the true effect: 95 of 100 times is what it promises.

    python benchmarks/bench_lift.py [--campaigns 1000] [--seed 7]

The whole way is walked: hold-out by hash, decisions and visits as facts, columns, arms, interval.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # where the tests are

from benchmarks.lifting import PERIOD_MS, SINCE_MS, Effect, effects, lived
from benchmarks.revision import commit
from geoengine.core.book import Book
from geoengine.service.reports.asking import Span
from geoengine.service.reports.campaigns import report
from geoengine.service.reports.gather import Told
from geoengine.service.wire.reports import CampaignsQuery, LiftOut
from tests.core.world import World, a_store

RESULTS = Path(__file__).parent / "results" / "lift.md"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often what is claimed is so."""

    campaigns: int
    difference: float  # share of campaigns whose interval holds the true difference
    ratio: float
    false_claims: float  # share of those without an effect of which one was claimed
    found: float  # share of those with an effect of which it was shown


def measure(campaign_count: int, seed: int) -> Coverage:
    """Live through so many campaigns, and look at what is reported of them."""
    rng = np.random.default_rng(seed)
    truths, told = effects(rng, campaign_count), Told()
    for one in truths:
        decisions, facts = lived(rng, one)
        told.add([*decisions, *facts])
    span = Span(SINCE_MS, SINCE_MS + PERIOD_MS)
    made = report(told, CampaignsQuery(), span, _book())
    found = {one.campaign_id: one.figures.lift for one in made.campaigns if one.figures}
    return _coverage(truths, [found[one.campaign_id] for one in truths])


def _book() -> Book:
    return World(stores=[a_store("shop"), a_store("another", 5_000)]).book()


def _coverage(truths: Sequence[Effect], lifts: Sequence[LiftOut | None]) -> Coverage:
    compared = [
        (truth, lift)
        for truth, lift in zip(truths, lifts, strict=True)
        if lift is not None and lift.low is not None and lift.high is not None
    ]
    nothing = [lift.verdict != "not_shown" for truth, lift in compared if truth.effect == 0]
    something = [lift.verdict == "more" for truth, lift in compared if truth.effect > 0]
    return Coverage(
        len(compared),
        _share([lift.low <= truth.difference <= lift.high for truth, lift in compared]),
        _share([_holds_ratio(truth, lift) for truth, lift in compared]),
        _share(nothing),
        _share(something),
    )


def _holds_ratio(truth: Effect, lift: LiftOut) -> bool:
    high = float("inf") if lift.ratio_high is None else lift.ratio_high
    return lift.ratio_low is not None and lift.ratio_low <= truth.ratio <= high


def _share(yes: list[bool]) -> float:
    return sum(yes) / len(yes)


def page(campaign_count: int, seed: int) -> str:
    """The results, to read."""
    found = measure(campaign_count, seed)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"""# Lift: does the interval keep its promise

{when}, {platform.machine()}, Python {platform.python_version()}, commit {commit()}; \
`python benchmarks/bench_lift.py --campaigns {campaign_count} --seed {seed}`. The same on every run.

{found.campaigns:,} simulated campaigns of 300 to 2,000 people with a known effect (none in every \
fourth), 10 to 50 % held out, one to three triggers a person, visits that hang together.

| what | share |
|---|---|
| the 95 % interval holds the true difference | {found.difference:.1%} |
| the 95 % interval holds the true ratio | {found.ratio:.1%} |
| there is no effect, and one is claimed | {found.false_claims:.1%} |
| there is an effect, and it is shown | {found.found:.1%} |
"""


def main() -> None:
    """Live through them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.out.write_text(page(asked.campaigns, asked.seed), "utf-8")
    print(asked.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
