"""The path, in one screen: look, observe, judge.

``step`` decides everything and does nothing. The loop around it loads the records that the scan
asks for and commits the outcome; live service, replay and simulation differ only in who supplies
the fixes, the clock and the state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, LastFixes, Rests, Sightings, rows_where
from geoengine.core.consent.lapsing import next_lapse_ms
from geoengine.core.look.scan import Scan
from geoengine.core.offers import orders
from geoengine.core.offers.reminders import REMIND, remind
from geoengine.core.presence import observe_fix
from geoengine.core.ranging import Sighting, observe_sighting
from geoengine.core.record import Change, Decision, Event, Fact, Record, Send, Transition
from geoengine.core.rules import Verdict, judge, too_coarse
from geoengine.core.telling import staff
from geoengine.core.telling.events import in_order, transition_events
from geoengine.core.telling.news import addressed, news
from geoengine.core.visiting import attendance
from geoengine.core.visiting.deadlines import (
    Deadline,
    close_strange,
    due_ms,
    fall_due,
    next_deadline,
)
from geoengine.core.visiting.visits import Fix, When, drop_closed_groups

Report = Fix | Sighting
NO_FIXES: list[Fix] = []


@dataclass(frozen=True, slots=True)
class Batch:
    """What there is to step over: reports, people whose deadlines have passed, and the time.

    A virtual clock means nothing beyond the fixes: each deadline is judged at its own moment.
    ``assumed`` names purposes that everybody is taken to have agreed to unless they refused.
    """

    fixes: Fixes
    sightings: Sightings
    due: tuple[str, ...]
    now_ms: int
    is_virtual: bool = False
    assumed: frozenset[str] = frozenset()

    def purposes(self, book: Book) -> frozenset[str]:
        """Everything assumed: what the batch says, and location where the operator says so; and
        who may be located may be measured, where that is what people agree to.
        """
        engine, assumed = book.engine.spec, self.assumed
        if engine.consent.location == "assumed":
            assumed = assumed | {"location"}
        if engine.measure.consent == "location":
            assumed = assumed | {attendance.PURPOSE}
        return assumed


@dataclass(slots=True)
class Outcome:
    """Everything a step decided, for the loop to commit and the caller to tell."""

    changes: list[Change] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # by time, exit before enter
    decisions: list[Decision] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    last: LastFixes | None = None
    rests: Rests | None = None  # rows of ``last`` about people with nothing else to tell
    lapsed: list[str] = field(default_factory=list)  # people of whom a consent has run out
    counts: Counter[str] = field(default_factory=Counter)
    counts_of: dict[str, Counter[str]] = field(default_factory=dict)  # of ``counts``, by person

    def without(self, people: Set[str]) -> Outcome:
        """What is to be told of everybody else; their fixes are counted still."""
        counts = Counter(self.counts)
        for person_id in people & self.counts_of.keys():
            counts.subtract(self.counts_of[person_id])
        return Outcome(
            events=[event for event in self.events if event.person_id not in people],
            decisions=[one for one in self.decisions if one.person_id not in people],
            sends=[send for send in self.sends if send.person_id not in people],
            facts=[fact for fact in self.facts if fact.person_id not in people],
            lapsed=[person_id for person_id in self.lapsed if person_id not in people],
            counts=counts,
        )

    def add(self, other: Outcome) -> None:
        """Tell this too."""
        self.changes += other.changes
        self.events += other.events
        self.decisions += other.decisions
        self.sends += other.sends
        self.facts += other.facts
        self.counts.update(other.counts)


def step(
    batch: Batch,
    seen: Scan,
    heard: Mapping[str, list[Sighting]],
    records: Mapping[str, Record],
    book: Book,
) -> Outcome:
    """Observe and judge: what the batch changes for each person, and what follows from it.

    ``seen`` holds the fixes worth a look and ``heard`` the sightings, by person; ``records`` those
    of all these people and of ``batch.due`` who have one. The records are changed in place.
    """
    outcome = Outcome(last=seen.last, rests=seen.rests, counts=Counter(seen.counts))
    assumed = batch.purposes(book)
    silenced: dict[str, tuple[str, int]] = {}
    for person_id in sorted({*seen.timelines, *heard, *batch.due}):
        record = records.get(person_id)
        life = _Life(Record(person_id) if record is None else record, batch, book, assumed, outcome)
        life.run(_in_time(seen.timelines.get(person_id, NO_FIXES), heard.get(person_id)))
        if life.silenced:
            silenced |= {device: (person_id, ms) for device, ms in life.silenced_still().items()}
        if life.counts:
            outcome.counts_of[person_id] = life.counts
            outcome.counts.update(life.counts)
    outcome.last = _with_silenced(outcome.last, silenced)
    outcome.events = in_order(outcome.events)
    return outcome


def _with_silenced(
    last: LastFixes | None, silenced: dict[str, tuple[str, int]]
) -> LastFixes | None:
    """The last fixes, each device once; of one that fell silent only up to when it is known."""
    if not silenced:
        return last
    person_ids, times_ms = zip(*silenced.values(), strict=True)
    quiet = LastFixes.up_to(list(silenced), np.array(times_ms, np.int64), list(person_ids))
    if last is None:
        return quiet
    row_of = {key: row for row, key in enumerate(quiet.device_keys.tolist())}
    told = rows_where(np.isin(last.device_keys, quiet.device_keys)).tolist()
    for row in told:
        quiet_row = row_of.pop(int(last.device_keys[row]))
        last.fix_ms[row] = quiet.fix_ms[quiet_row]
        last.lon_deg[row] = last.lat_deg[row] = last.accuracy_m[row] = np.nan
        last.suspect_count[row] = 0
    left = quiet.take(np.array(sorted(row_of.values()), np.intp))
    return LastFixes.concat([last, left]) if row_of else last


class _Life:
    """One person's part of a batch, as it is being worked out."""

    __slots__ = (
        "assumed", "batch", "book", "counts", "is_durable", "outcome", "record", "silenced",
    )  # fmt: skip

    def __init__(
        self, record: Record, batch: Batch, book: Book, assumed: frozenset[str], outcome: Outcome
    ) -> None:
        self.record = record
        self.batch = batch
        self.book = book
        self.assumed = assumed
        self.outcome = outcome
        self.counts: Counter[str] = Counter()
        self.is_durable = False
        self.silenced: dict[str, int] = {}  # devices whose silence closed a visit, and when

    def run(self, reports: list[Report]) -> None:
        """Run the person's time through the reports up to now, and note the record."""
        record, batch = self.record, self.batch
        # Consents that have run out: the loop sees to them once this batch is committed.
        lapse_ms = next_lapse_ms(record, self.book.consent_terms) if record.consents else None
        if lapse_ms is not None and lapse_ms <= batch.now_ms:
            self.outcome.lapsed.append(record.person_id)
        if not record.agrees("location", self.assumed):
            # Fixes of people who did not agree have been dropped and counted with the columns.
            heard = sum(isinstance(report, Sighting) for report in reports)
            self.counts["sightings"] -= heard
            self.counts["no_consent"] += heard
            reports = []
        if record.presences:
            for closed in close_strange(record, self.book, batch.now_ms):
                self._moment([closed])
        for report in reports:
            self._pass(
                # Before a report means by its own time, or by our clock when it reached us: what
                # had fallen due by then was told, and an older report must not find it undone
                # just because both share a batch.
                max(_at_ms(report), report.recv_ms - record.lag_ms) - 1,
                report.recv_ms,
                report.post_ix,
            )
            self._observe(report)
        due = self._pass(batch.now_ms - record.lag_ms, batch.now_ms)
        self._keep(due_ms(record, due, lapse_ms), bool(reports))

    def _pass(self, until_ms: int, now_ms: int, post_ix: int = -1) -> Deadline | None:
        """Let what fell due up to then happen, one thing at a time; what falls due next."""
        record, book = self.record, self.book
        has_ends = record.coupons or record.timed or record.orders
        if not (record.presences or record.heard or has_ends):
            return None
        while (due := next_deadline(record, book)) is not None and due[0] <= until_ms:
            known_ms = due[0] + record.lag_ms if self.batch.is_virtual else now_ms
            if due[1] == REMIND:
                self._remind(due[2], known_ms)
                continue
            fallen = fall_due(record, due, book, When(due[0], known_ms, post_ix))
            if fallen is not None:
                self._moment([fallen])
        return due

    def _remind(self, trigger_id: str, now_ms: int) -> None:
        """Ask the campaigns that speak of a coupon about to end."""
        self.is_durable = True
        for verdict in remind(self.record, trigger_id, self.book, self.assumed, now_ms):
            self._decide(verdict)

    def _observe(self, report: Report) -> None:
        if isinstance(report, Fix):
            if report.accuracy_m > self.book.fine_m:
                for verdict in too_coarse(self.record, report, self.book):
                    self._decide(verdict)
            found = observe_fix(self.record, report, self.book)
        else:
            found = observe_sighting(self.record, report, self.book)
        if found:
            self._moment(found)
            if self.record.orders:
                self._tell_staff(found, report if isinstance(report, Fix) else None)

    def _moment(self, transitions: list[Transition]) -> None:
        """Transitions at one moment: tell them, and ask the campaigns."""
        self.is_durable = True
        counts, is_exit = self.counts, False
        for transition in transitions:
            counts[transition.kind] += 1
            if transition.kind == "exit":
                is_exit = True
                if transition.reason == "silence" and not transition.is_beacon:
                    self.silenced[transition.device_id] = transition.at_ms
            for event in transition_events(transition, self.book):
                self._tell(event)
        for verdict in judge(self.record, transitions, self.book, self.assumed):
            self._decide(verdict)
        if is_exit:
            drop_closed_groups(self.record)
        if is_exit or self.record.attended:
            self.outcome.facts += attendance.facts_of(
                self.record, transitions, self.book, self.assumed
            )

    def _tell_staff(self, transitions: list[Transition], fix: Fix | None) -> None:
        """Say who comes for what lies ready for them."""
        for transition in transitions:
            for event in orders.approaching(self.record, transition, self.book, fix):
                self._tell(event)
                name = self.record.orders[event.data["order_id"]].name
                self.outcome.sends.append(staff.word(event, name, self.record, transition.now_ms))

    def _decide(self, verdict: Verdict) -> None:
        decision, outcome = verdict.decision, self.outcome
        outcome.decisions.append(decision)
        if decision.outcome == "fired":
            self.counts["fired"] += 1
        else:
            self.counts["suppressed:" + decision.reason.partition(" ")[0]] += 1
        send = verdict.send
        if send is not None:
            outcome.sends.append(send := addressed(send, verdict.event, self.book))
        self._tell(verdict.event, send)

    def _tell(self, event: Event, said_by: Send | None = None) -> None:
        self.outcome.events.append(event)
        self.outcome.sends += news(event, self.record, self.book, said_by)

    def _keep(self, moment_ms: int | None, is_heard: bool) -> None:
        """Note the record for writing, unless there is nothing to remember and never was."""
        record = self.record
        is_new, is_empty = record.version == 0, record.is_empty
        if is_new and (is_empty or not (self.is_durable or is_heard)):
            return
        self.outcome.changes.append(Change(record, moment_ms, self.is_durable, is_empty))

    def silenced_still(self) -> dict[str, int]:
        """The silenced devices of which nothing was heard since."""
        devices = self.record.devices
        return {name: ms for name, ms in self.silenced.items() if devices.get(name) == ms}


def _in_time(fixes: list[Fix], sightings: list[Sighting] | None) -> list[Report]:
    """Reports in the order in which they count: by post, by their own time, and by device."""
    reports: list[Report] = [*fixes, *sightings] if sightings else [*fixes]
    if len(reports) > 1:
        reports.sort(key=_place)
    return reports


def _place(report: Report) -> tuple[int, int, str]:
    return report.post_ix, _at_ms(report), report.device_id


def _at_ms(report: Report) -> int:
    return report.fix_ms if isinstance(report, Fix) else report.seen_ms
