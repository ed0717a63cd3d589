"""Campaigns with a known effect: people who come anyway, and some more because they were told.

Each person has a propensity of their own, so visits of one hang together; who comes once comes
again; some come before they are told, or to another shop, which must not count. Hold-outs fall as
they do live, by the hash of the id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoengine.core.ids import digest, share_of
from geoengine.core.record import Decision, Fact
from geoengine.core.units import DAY_MS

SINCE_MS = 1_793_491_200_000  # 2026-11-01
PERIOD_MS = 14 * DAY_MS
WINDOW_MS = 7 * DAY_MS
CONCENTRATION = 4.0  # of the propensities: a few come often, most hardly ever


@dataclass(frozen=True, slots=True)
class Effect:
    """One campaign as it truly is."""

    campaign_id: str
    people: int
    hold_out: float
    base: float  # the share of people who come anyway
    effect: float  # the share of the others who come because they were told

    @property
    def difference(self) -> float:
        """What is to be found."""
        return self.effect * (1 - self.base)

    @property
    def ratio(self) -> float:
        """The same as so many times as many."""
        return (self.base + self.difference) / self.base


def effects(rng: np.random.Generator, count: int) -> list[Effect]:
    """Campaigns of all sorts; every fourth has no effect at all."""
    return [
        Effect(
            campaign_id=f"campaign-{ix}",
            people=int(rng.integers(300, 2_000)),
            hold_out=float(rng.choice([0.1, 0.2, 0.5])),
            base=float(rng.uniform(0.03, 0.3)),
            effect=0.0 if ix % 4 == 0 else float(rng.uniform(0.01, 0.15)),
        )
        for ix in range(count)
    ]


def lived(rng: np.random.Generator, one: Effect) -> tuple[list[Decision], list[Fact]]:
    """What is on record after such a campaign."""
    decisions, facts = [], []
    base = rng.beta(one.base * CONCENTRATION, (1 - one.base) * CONCENTRATION, one.people)
    moved = rng.random(one.people) < one.effect
    anyway = rng.random(one.people) < base
    moments = rng.integers(1, 4, one.people)
    first_ms = SINCE_MS + (rng.random(one.people) * PERIOD_MS / 2).astype(np.int64)
    for ix in range(one.people):
        person = f"{one.campaign_id}/{ix}"
        is_held = share_of("holdout", one.campaign_id, person) < one.hold_out
        for again in range(int(moments[ix])):
            at_ms = int(first_ms[ix]) + again * DAY_MS
            decisions.append(_decision(one.campaign_id, person, at_ms, is_held))
        if anyway[ix] or (moved[ix] and not is_held):
            for _visit in range(1 + rng.poisson(1.5)):
                after_ms = 1 + int(rng.random() * (WINDOW_MS - 1))
                facts.append(_visit_of(person, int(first_ms[ix]) + after_ms, "shop"))
        if rng.random() < 0.3:
            facts.append(_visit_of(person, int(first_ms[ix]) - 1_000, "shop"))
            facts.append(_visit_of(person, int(first_ms[ix]) + 1_000, "another"))
    return decisions, facts


def _decision(campaign_id: str, person: str, at_ms: int, is_held: bool) -> Decision:
    return Decision(
        person_id=person,
        at_ms=at_ms,
        campaign_id=campaign_id,
        store_id="shop",
        zone_id="shop",
        visit_id="",
        outcome="suppressed" if is_held else "fired",
        reason="holdout" if is_held else "ok",
        lever="" if is_held else "push",
        trigger_id=digest("trigger", campaign_id, person, at_ms),
        is_measured=True,
    )


def _visit_of(person: str, at_ms: int, store_id: str) -> Fact:
    return Fact(
        id=digest("attended", person, store_id, at_ms),
        kind="visit",
        person_id=person,
        at_ms=at_ms,
        store_id=store_id,
        data={"by": "beacon", "confidence": 0.95, "duration_s": 600.0, "path": []},
    )
