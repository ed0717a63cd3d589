"""The lift of each cell: its two arms, made and compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from geoengine.core.attribution import arms, pair, sums_after
from geoengine.core.columns import Bools, Floats, Longs
from geoengine.core.lift import Estimate, Lift, compare, mean, share
from geoengine.service.wire.reports import ArmOut, LiftOut, Outcome


@dataclass(frozen=True, slots=True)
class Question:
    """M moments at which people were spoken to or would have been, and D things that were done."""

    outcome: Outcome
    cell: Longs  # shape (M,): what is compared within
    person: Longs
    store: Longs
    at_ms: Longs
    is_held: Bools
    window_ms: int
    done_person: Longs  # shape (D,)
    done_store: Longs
    done_ms: Longs
    amount: Floats


def lifts(asked: Question, people_min: int) -> dict[int, LiftOut]:
    """The lift of each cell in which anybody was held out."""
    found = arms(asked.cell, asked.person, asked.at_ms, asked.is_held)
    rows = found.moment_ix
    amount = asked.amount if asked.outcome == "revenue" else np.ones(len(asked.done_ms))
    did = sums_after(
        pair(asked.person[rows], asked.store[rows]),
        asked.at_ms[rows],
        asked.window_ms,
        pair(asked.done_person, asked.done_store),
        asked.done_ms,
        amount,
    )
    cells, cell_ix = np.unique(asked.cell[rows], return_inverse=True)
    both = (~found.is_held, found.is_held)
    treated, held_out = (
        _estimates(did[arm], cell_ix[arm], len(cells), asked.outcome) for arm in both
    )
    is_told = np.ones(len(cells), bool)
    if asked.outcome == "revenue":  # what a hundred people paid on average tells what one paid
        for arm in both:
            payers = np.bincount(cell_ix[arm][did[arm] > 0], minlength=len(cells))
            is_told &= (payers == 0) | (payers >= people_min)
    return {
        cell: shown(compare(t, h), asked.outcome, people_min, is_told=told)
        for cell, t, h, told in zip(
            cells.tolist(), treated, held_out, is_told.tolist(), strict=True
        )
        if h.people
    }


def _estimates(did: Floats, cell_ix: Longs, cell_count: int, outcome: Outcome) -> list[Estimate]:
    """What one arm did in each cell: how many did anything, or how much each."""
    people = np.bincount(cell_ix, minlength=cell_count).tolist()
    if outcome != "revenue":
        came = np.bincount(cell_ix, did > 0, cell_count).tolist()
        return [share(round(c), n) for c, n in zip(came, people, strict=True)]
    totals = np.bincount(cell_ix, did, cell_count).tolist()
    squares = np.bincount(cell_ix, did * did, cell_count).tolist()
    return [mean(t, s, n) for t, s, n in zip(totals, squares, people, strict=True)]


def shown(lift: Lift, outcome: Outcome, people_min: int, *, is_told: bool = True) -> LiftOut:
    """The lift as it is told; of an arm of too few people nothing."""
    treated, held_out = lift.treated, lift.held_out
    if not is_told:
        few = (_count(treated, people_min), _count(held_out, people_min))
        return LiftOut(outcome, "too_few_people", *few)
    if min(treated.people, held_out.people) < people_min:
        few = (_arm(treated, people_min), _arm(held_out, people_min))
        return LiftOut(outcome, "too_few_people", *few)
    return LiftOut(
        outcome,
        lift.verdict,
        _arm(treated, people_min),
        _arm(held_out, people_min),
        *(_told(number) for number in lift[2:]),
    )


def _count(arm: Estimate, people_min: int) -> ArmOut:
    """How many people an arm has, and not what they did."""
    return ArmOut(arm.people if arm.people >= people_min else None)


def _arm(arm: Estimate, people_min: int) -> ArmOut:
    if arm.people < people_min:
        return ArmOut(None)
    return ArmOut(arm.people, *(_told(number) for number in arm[1:]))


def _told(number: float) -> float | None:
    """A number as JSON has it, which knows neither infinity nor what is no number."""
    return round(number, 9) if isfinite(number) else None
