"""The lift of each cell: its two arms, made and compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from geoengine.core.attribution import arms, each_once, pair, sums_after
from geoengine.core.columns import Bools, Floats, Longs
from geoengine.core.lift import Estimate, Lift, compare, mean, share
from geoengine.service.reports.hiding import Crowds, hidden
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


def lifts(
    asked: Question, people_min: int, width: int = 1, kept: Longs | None = None
) -> dict[int, LiftOut]:
    """The lift of each cell in which anybody was held out.

    Cells of one number // ``width`` are parts of one whole, whose lift is told too: so an arm that
    is too small takes another one with it, as parts do. Cells ``kept`` back are not shown at all.
    """
    if not asked.is_held.any():
        return {}
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
    cells = each_once(asked.cell[rows])
    cell_ix, person = np.searchsorted(cells, asked.cell[rows]), asked.person[rows]
    whole, is_kept = cells // width, np.isin(cells, [] if kept is None else kept)
    sides, is_told = [], ~is_kept
    for arm in (~found.is_held, found.is_held):
        few = hidden(Crowds.of(cell_ix[arm], person[arm], len(cells)), people_min, whole, is_kept)
        sides.append((_estimates(did[arm], cell_ix[arm], len(cells), asked.outcome), few))
        if asked.outcome == "revenue":  # what a hundred people paid on average tells what one paid
            paid = arm & (did > 0)
            payers = Crowds.of(cell_ix[paid], person[paid], len(cells))
            is_told &= ~hidden(payers, people_min, whole, few)
    return {
        cell: _shown(compare(t, h), asked.outcome, (is_few_t, is_few_h), is_told=told)
        for cell, t, is_few_t, h, is_few_h, told in zip(
            cells.tolist(), *_columns(sides), is_told.tolist(), strict=True
        )
        if h.people
    }


def _columns(sides: list[tuple[list[Estimate], Bools]]) -> tuple[list[Any], ...]:
    (treated, few_treated), (held_out, few_held_out) = sides
    return treated, few_treated.tolist(), held_out, few_held_out.tolist()


def _estimates(did: Floats, cell_ix: Longs, cell_count: int, outcome: Outcome) -> list[Estimate]:
    """What one arm did in each cell: how many did anything, or how much each."""
    people = np.bincount(cell_ix, minlength=cell_count).tolist()
    if outcome != "revenue":
        came = np.bincount(cell_ix, did > 0, cell_count).tolist()
        return [share(round(c), n) for c, n in zip(came, people, strict=True)]
    totals = np.bincount(cell_ix, did, cell_count).tolist()
    squares = np.bincount(cell_ix, did * did, cell_count).tolist()
    return [mean(t, s, n) for t, s, n in zip(totals, squares, people, strict=True)]


def _shown(lift: Lift, outcome: Outcome, few: tuple[bool, bool], *, is_told: bool) -> LiftOut:
    """The lift as it is told; of an arm of too few people nothing."""
    both = zip((lift.treated, lift.held_out), few, strict=True)
    if not is_told:  # how many people an arm has, and not what they did
        treated, held_out = (ArmOut(None if is_few else arm.people) for arm, is_few in both)
        return LiftOut(outcome, "too_few_people", treated, held_out)
    treated, held_out = (ArmOut(None) if is_few else _arm(arm) for arm, is_few in both)
    if any(few):
        return LiftOut(outcome, "too_few_people", treated, held_out)
    return LiftOut(
        outcome, lift.verdict, treated, held_out, *(_told(number) for number in lift[2:])
    )


def _arm(arm: Estimate) -> ArmOut:
    return ArmOut(arm.people, *(_told(number) for number in arm[1:]))


def _told(number: float) -> float | None:
    """A number as JSON has it, which knows neither infinity nor what is no number."""
    return round(number, 9) if isfinite(number) else None
