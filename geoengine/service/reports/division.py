"""Campaigns divided by store, hour, weekday or message: what became of each part."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from geoengine.core.attribution import each_once
from geoengine.core.book import Book
from geoengine.core.columns import Bools, Longs
from geoengine.service.reports.asking import WEEKDAYS, Clocks, hour_of, weekday_of
from geoengine.service.reports.gather import KINDS, NO_TRIGGER, Happened
from geoengine.service.reports.hiding import Crowds, hidden
from geoengine.service.reports.joining import Joined
from geoengine.service.reports.lifts import Question, lifts
from geoengine.service.reports.tally import Tally
from geoengine.service.wire.reports import By, Cell, Figures, LiftOut

# Reasons that say the wrong place, moment or person; whoever passed these was eligible.
NOT_ELIGIBLE: Final = frozenset(
    {
        "accuracy", "not_live", "initial", "mocked", "stale", "store_closed", "store_closing",
        "window", "audience", "minor", "paused",
    }
)  # fmt: skip
WHOLE: Final = ""
# From where (a position of a name, -1 for none), when and by which message, to the part it is in.
Part = Callable[[Longs, Longs, Longs], Longs]


class Division:
    """Campaigns divided by something: a cell is a campaign and a part of it."""

    def __init__(self, joined: Joined, by: By, book: Book) -> None:
        self._joined, self._by = joined, by
        self._part, self._width = _parted(by, joined.names, book)
        decided = joined.decided
        variant = joined.variant if by == "variant" else decided.campaign  # only that looks at it
        self._cell_of_row = self._cell(decided.campaign, decided.store, decided.at_ms, variant)
        self._rows = np.flatnonzero(joined.is_inside)
        self._orphans = _redeemed_alone(joined)
        lone = joined.happened.take(self._orphans)
        self._orphan_cells = self._cell(lone.campaign, lone.store, lone.at_ms, lone.variant)
        self._tally = Tally(self._cell_of_row[self._rows], self._orphan_cells)

    def _cell(self, campaign: Longs, store: Longs, at_ms: Longs, variant: Longs) -> Longs:
        return campaign * self._width + self._part(store, at_ms, variant)

    def cells(self, people_min: int) -> dict[str, list[Cell]]:
        """The parts of each campaign, those about too few people hidden."""
        names, found = self._joined.names, {}
        campaign_ix, part = np.divmod(self._tally.cells, self._width)
        crowds = self._crowds()
        kept = hidden(crowds, people_min, campaign_ix)
        figures = self._figures(crowds, kept, people_min)
        for payers in self._payers():
            for ix in np.flatnonzero(hidden(payers, people_min, campaign_ix, kept)).tolist():
                figures[ix].revenue = None
        for campaign in each_once(campaign_ix).tolist():
            mine = np.flatnonzero(campaign_ix == campaign)
            cells = [
                Cell(self._label(int(part[ix])), None if is_kept else figures[ix])
                for ix, is_kept in zip(mine.tolist(), kept[mine].tolist(), strict=True)
            ]
            is_named = self._by in ("store", "variant")
            found[names[campaign]] = sorted(cells, key=_by_name) if is_named else cells
        return found

    def _label(self, part: int) -> str:
        if self._by == "hour":
            return f"{part:02d}"
        if self._by == "weekday":
            return WEEKDAYS[part]
        return self._joined.names[part - 1] if part else ""

    def _figures(self, crowds: Crowds, kept: Bools, people_min: int) -> list[Figures]:
        """What became of each cell."""
        joined, tally, cell_of = self._joined, self._tally, self._cell_of_row
        decided, rows, names = joined.decided, self._rows, joined.names

        def count(of_rows: Longs) -> list[int]:
            return tally.count(cell_of[of_rows])

        stopped = rows[~decided.is_fired[rows]]
        is_late = np.array([name.partition(":")[0] not in NOT_ELIGIBLE for name in names] or [True])
        was_eligible = decided.is_fired | is_late[decided.reason]
        delivered, lost = joined.followed_by("delivered"), joined.is_lost
        visited, (sent, costs) = joined.visited(), joined.paid("sent")
        columns = {
            "people": crowds.people.tolist(),
            "entries": count(rows),
            "eligible": count(rows[was_eligible[rows]]),
            "suppressed": tally.by(cell_of[stopped], decided.reason[stopped], names),
            "fired": count(rows[decided.is_fired[rows]]),
            "sent": count(joined.followed_by("sent")),
            "delivered": count(delivered[~lost[delivered]]),
            "failed": count(rows[lost[rows]]),
            "opened": count(joined.followed_by("opened")),
            "clicked": count(joined.followed_by("clicked")),
            "visits": [round(n, 3) for n in tally.total(cell_of[visited.row], visited.amount)],
            "cost": tally.totals_by(cell_of[sent], costs.currency, costs.amount, names),
            "opt_outs": count(joined.opted_out()),
            **self._redeemed(),
            "lift": self._lifts(kept, people_min),
        }
        return [
            Figures(**dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]

    def _crowds(self) -> Crowds:
        """Who is in each cell."""
        joined = self._joined
        cells = np.concatenate([self._cell_of_row[self._rows], self._orphan_cells])
        who = [joined.decided.person[self._rows], joined.happened.person[self._orphans]]
        return self._tally.crowds(cells, np.concatenate(who))

    def _redemptions(self) -> tuple[Longs, Happened]:
        """Redemptions and their cells, by trigger or, for want of one, by campaign and till."""
        rows, known = self._joined.paid("redeemed")
        done = Happened.concat([known, self._joined.happened.take(self._orphans)])
        return np.concatenate([self._cell_of_row[rows], self._orphan_cells]), done

    def _payers(self) -> list[Crowds]:
        """Who has paid in each cell, by currency."""
        (cells, done), tally = self._redemptions(), self._tally
        currencies = [one for one in each_once(done.currency).tolist() if one >= 0]
        paid = (np.flatnonzero(done.currency == one) for one in currencies)
        return [tally.crowds(cells[rows], done.person[rows]) for rows in paid]

    def _redeemed(self) -> dict[str, list[Any]]:
        """What was redeemed in each cell, and what was paid."""
        tally, (cells, done) = self._tally, self._redemptions()
        return {
            "redemptions": tally.count(cells),
            "redemptions_seen": tally.count(cells[self._joined.was_seen(done)]),
            "revenue": tally.totals_by(cells, done.currency, done.amount, self._joined.names),
        }

    def _lifts(self, kept: Bools, people_min: int) -> list[LiftOut | None]:
        """The lift of each cell; by variant there is none, as who is held out has none."""
        if self._by == "variant":
            return [None] * len(self._tally)
        decided, cells = self._joined.decided, self._tally.cells
        moments = moments_of(self._joined)
        moments = moments[~decided.is_held_globally[moments]]
        asked = question(self._joined, moments, self._cell_of_row[moments], decided.is_held)
        found = lifts(asked, people_min, self._width, cells[kept])
        return [found.get(cell) for cell in cells.tolist()]


def _by_name(cell: Cell) -> str:
    return cell.cell


def _parted(by: By, names: list[str], book: Book) -> tuple[Part, int]:
    """How rows find their part, and how many parts there may be."""
    if by == "store":
        return (lambda store, _at_ms, _variant: store + 1), len(names) + 1
    if by == "variant":
        return (lambda _store, _at_ms, variant: variant + 1), len(names) + 1
    if by == "":
        return (lambda store, _at_ms, _variant: np.zeros_like(store)), 1
    of, width = (hour_of, 24) if by == "hour" else (weekday_of, 7)
    return partial(_by_clock, Clocks(book, names), of), width


def _by_clock(
    clocks: Clocks, of: Callable[[Longs], Longs], store: Longs, at_ms: Longs, _variant: Longs
) -> Longs:
    return of(clocks.local_ms(at_ms, store))


def _redeemed_alone(joined: Joined) -> Longs:
    """Redemptions of the period that name a campaign and no trigger: of codes that all share."""
    facts, span = joined.happened, joined.span
    is_redeemed = (facts.kind == KINDS.index("redeemed")) & (facts.campaign >= 0)
    is_inside = (facts.at_ms >= span.since_ms) & (facts.at_ms < span.until_ms)
    return np.flatnonzero(is_redeemed & is_inside & (facts.trigger == NO_TRIGGER))


def _of_one_currency(done: Happened) -> Happened:
    """What was paid in the commonest currency: amounts of several cannot be added up."""
    paid = done.take(np.flatnonzero(done.currency >= 0))
    if not len(paid):
        return paid
    return paid.take(np.flatnonzero(paid.currency == np.bincount(paid.currency).argmax()))


def moments_of(joined: Joined) -> Longs:
    """Decisions of measured people who were spoken to, or would have been, about a store."""
    decided = joined.decided
    is_moment = joined.is_inside & decided.is_measured & (decided.store >= 0)
    return np.flatnonzero(is_moment & (decided.trigger != NO_TRIGGER))


def question(joined: Joined, moments: Longs, cell: Longs, is_held: Bools) -> Question:
    decided, outcome = joined.decided, joined.query.outcome
    done = joined.visits if outcome == "visits" else joined.happened.of("redeemed")
    if outcome == "revenue":
        done = _of_one_currency(done)
    return Question(
        outcome=outcome,
        cell=cell,
        person=decided.person[moments],
        store=decided.store[moments],
        at_ms=decided.at_ms[moments],
        is_held=is_held[moments],
        window_ms=joined.window_ms,
        done_person=done.person,
        done_store=done.store,
        done_ms=done.at_ms,
        amount=done.amount,
    )
