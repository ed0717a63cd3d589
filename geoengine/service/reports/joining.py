"""What was gathered, joined: which fact belongs to which decision, and who gets credit for what."""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from geoengine.core.attribution import Timeline, credit, pair
from geoengine.core.columns import Bools, Floats, Longs
from geoengine.core.units import DAY_MS, MINUTE_MS, SECOND_MS
from geoengine.service.reports.asking import Span
from geoengine.service.reports.gather import NO_TRIGGER, Happened, Told
from geoengine.service.wire.reports import CampaignsQuery

# Who leaves within a day of a message leaves because of it; later, who knows. A longer span, and a
# campaign is blamed for what the one after it did.
OPT_OUT_MS: Final = DAY_MS
# A till's clock, and the first and last fix of a visit, are some minutes off. Too short, and people
# who paid were never in the shop; too long, and who paid has been there on another errand.
TILL_SLACK_MS: Final = 15 * MINUTE_MS
_UNDELIVERED: Final = "undelivered"  # the status of a failure that a provider told


class Earned(NamedTuple):
    """Rows of decisions, and how much of something each has to its credit."""

    row: Longs
    amount: Floats


class Joined:
    """Decisions of a period and of the window around it, with what followed from them."""

    def __init__(self, told: Told, span: Span, window_ms: int, query: CampaignsQuery) -> None:
        self.span, self.window_ms, self.query = span, window_ms, query
        self.told, self.names = told, told.words.names
        self.decided = told.decided()
        self.happened = told.happened()
        at_ms = self.decided.at_ms
        self.is_inside: Bools = (at_ms >= span.since_ms) & (at_ms < span.until_ms)

    @cached_property
    def _fired(self) -> tuple[Longs, Longs]:
        """Triggers, ascending, and the decision of each."""
        rows = np.flatnonzero(self.decided.is_fired)
        rows = rows[np.argsort(self.decided.trigger[rows], kind="stable")]
        return self.decided.trigger[rows], rows

    @cached_property
    def _row_of_fact(self) -> Longs:
        """The decision whose trigger each fact is about; -1 where it is not among these."""
        triggers, rows = self._fired
        about = np.flatnonzero(self.happened.trigger != NO_TRIGGER)
        about = about[np.argsort(self.happened.trigger[about])]  # in order a search is cheap
        trigger = self.happened.trigger[about]
        place = np.searchsorted(triggers, trigger)
        fits = place < len(triggers)
        fits[fits] = triggers[place[fits]] == trigger[fits]
        found = np.full(len(self.happened), -1)
        found[about[fits]] = rows[place[fits]]
        return found

    def _told(self, *kinds: str) -> tuple[Longs, Longs]:
        """Facts of these kinds about decisions among these, and the row of the decision of each."""
        facts = np.flatnonzero(self.happened.is_of(*kinds) & (self._row_of_fact >= 0))
        return facts, self._row_of_fact[facts]

    def followed_by(self, *kinds: str) -> Longs:
        """Decisions of the period that were followed by a fact of these kinds, each once."""
        _facts, rows = self._told(*kinds)
        is_followed = np.zeros(len(self.decided), bool)
        is_followed[rows] = True
        return np.flatnonzero(is_followed & self.is_inside)

    def _inside(self, rows: Longs) -> Longs:
        found: Longs = rows[self.is_inside[rows]]
        return found

    @cached_property
    def variant(self) -> Longs:
        """Which of several messages each decision sent, as its facts tell; -1 for unknown."""
        found = np.full(len(self.decided), -1)
        facts, rows = self._told("sent", "delivered", "failed", "opened", "clicked")
        found[rows] = self.happened.variant[facts]
        return found

    @cached_property
    def is_lost(self) -> Bools:
        """Decisions whose message reached nobody.

        Of what we gave up and tried again by hand, as far as was heard last. A provider that says
        that it could not deliver a message is believed whatever else it says, and in whatever order
        its words arrive: it says "delivered" also of what it has only passed on.
        """
        failed, reached = self._last_ms("failed"), self._last_ms("delivered", "opened", "clicked")
        undelivered = self._last_ms("failed", ended=_UNDELIVERED)
        touched = self._last_ms("opened", "clicked")
        lost: Bools = (failed >= 0) & (failed >= reached)
        return lost | ((undelivered >= 0) & (undelivered >= touched))

    def _last_ms(self, *kinds: str, ended: str = "") -> Longs:
        """When each decision was last followed by a fact of these kinds, and of one that ended so
        if that is said; -1 for never.
        """
        facts, rows = self._told(*kinds)
        if ended:
            is_ended = self.happened.source[facts] == self.told.words.get(ended, -1)
            facts, rows = facts[is_ended], rows[is_ended]
        found = np.full(len(self.decided), -1)
        np.maximum.at(found, rows, self.happened.at_ms[facts])
        return found

    @cached_property
    def _touches(self) -> Longs:
        """Decisions whose message may have reached somebody: fired, and not known to be lost."""
        return np.flatnonzero(self.decided.is_fired & ~self.is_lost)

    @cached_property
    def visits(self) -> Happened:
        """Visits that are sure enough."""
        visits = self.happened.of("visit")
        return visits.take(np.flatnonzero(visits.amount >= self.query.confidence))

    def visited(self) -> Earned:
        """The decisions of the period that brought visits; a campaign of no store brings nobody."""
        decided, visits = self.decided, self.visits
        touches = self._touches[decided.store[self._touches] >= 0]
        found = credit(
            pair(decided.person[touches], decided.store[touches]),
            decided.at_ms[touches],
            pair(visits.person, visits.store),
            visits.at_ms,
            self.window_ms,
            self.query.credit,
        )
        return self._earned(touches[found.touch_ix], found.weight)

    def opted_out(self) -> Longs:
        """Decisions of the period after whose message its lever was withdrawn."""
        decided, gone, touches = self.decided, self.happened.of("opted_out"), self._touches
        found = credit(
            pair(decided.person[touches], decided.lever[touches]),
            decided.at_ms[touches],
            pair(gone.person, gone.lever),
            gone.at_ms,
            OPT_OUT_MS,
            "last",
        )
        return self._inside(touches[found.touch_ix])

    def paid(self, kind: str) -> tuple[Longs, Happened]:
        """The facts of a kind that belong to decisions of the period, and the row of each."""
        facts, rows = self._told(kind)
        kept = np.flatnonzero(self.is_inside[rows])
        return rows[kept], self.happened.take(facts[kept])

    def was_seen(self, done: Happened) -> Bools:
        """Whether each thing was done during a visit of that person to that store."""
        visits = self.visits
        line = Timeline.of(pair(visits.person, visits.store), visits.at_ms)
        whose = pair(done.person, done.store)
        start, end = line.between(whose, done.at_ms - DAY_MS, done.at_ms + TILL_SLACK_MS)
        found: Bools = end > start
        last = line.order[end[found] - 1]
        ended_ms = visits.at_ms[last] + (visits.lasted_s[last] * SECOND_MS).astype(np.int64)
        found[found] = ended_ms + TILL_SLACK_MS >= done.at_ms[found]
        return found

    def _earned(self, rows: Longs, amount: Floats) -> Earned:
        kept = self.is_inside[rows]
        return Earned(rows[kept], amount[kept])
