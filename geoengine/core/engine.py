"""The path, in one screen: look, observe, judge.

``step`` decides everything and does nothing. The loop around it loads the records that the scan
asks for and commits the outcome; live service, replay and simulation differ only in who supplies
the fixes, the clock and the state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, LastFixes, Rests, Sightings
from geoengine.core.deadlines import close_strange, has_deadlines, next_due_ms, pass_deadlines
from geoengine.core.events import PREFIX, cloud_event, in_order, transition_events
from geoengine.core.presence import observe_fix
from geoengine.core.ranging import Sighting, observe_sighting
from geoengine.core.record import Decision, Event, Record, Send, Transition
from geoengine.core.rules import Verdict, judge, too_coarse
from geoengine.core.scan import Scan
from geoengine.core.units import HOUR_MS
from geoengine.core.visits import Fix, drop_closed_groups

EVENT_EXPIRES_MS = 76 * HOUR_MS  # as long as Standard Webhooks' example schedule keeps trying


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
        """Everything assumed: what the batch says, and location where the operator says so."""
        if book.engine.spec.consent.location == "assumed":
            return self.assumed | {"location"}
        return self.assumed


@dataclass(frozen=True, slots=True)
class Touched:
    """A person's record after the step."""

    record: Record
    due_ms: int | None
    is_durable: bool

    @property
    def is_gone(self) -> bool:
        """Whether there was a record and nothing is left in it."""
        return self.record.version > 0 and self.record.is_empty


@dataclass(slots=True)
class Outcome:
    """Everything a step decided, for the loop to commit and the caller to tell."""

    changes: list[Touched] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # by time, exit before enter
    decisions: list[Decision] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    last: LastFixes | None = None
    rests: Rests | None = None  # rows of ``last`` about people with nothing else to tell
    counts: Counter[str] = field(default_factory=Counter)


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
    silenced: dict[str, int] = {}
    for person_id in sorted({*seen.timelines, *heard, *batch.due}):
        record = records.get(person_id)
        record = Record(person_id) if record is None else record
        told = _Told(book, assumed, outcome)
        reports = _in_time(seen.timelines.get(person_id, []), heard.get(person_id, []))
        if not record.agrees("location", assumed):
            outcome.counts["no_consent"] += len(heard.get(person_id, []))
            reports = []
        _live(record, reports, batch, book, told)
        _keep(record, reports, book, told, outcome)
        silenced |= {d: ms for d, ms in told.silenced.items() if record.devices.get(d) == ms}
    outcome.last = _with_silenced(outcome.last, silenced)
    outcome.events = in_order(outcome.events)
    return outcome


def _with_silenced(last: LastFixes | None, silenced: dict[str, int]) -> LastFixes | None:
    """The last fixes, each device once; of one that fell silent only up to when it is known."""
    if not silenced:
        return last
    quiet = LastFixes.up_to(list(silenced), np.fromiter(silenced.values(), np.int64, len(silenced)))
    if last is None:
        return quiet
    row_of = {key: row for row, key in enumerate(quiet.device_keys.tolist())}
    told = np.flatnonzero(np.isin(last.device_keys, quiet.device_keys)).tolist()
    for row in told:
        quiet_row = row_of.pop(int(last.device_keys[row]))
        last.fix_ms[row] = quiet.fix_ms[quiet_row]
        last.lon_deg[row] = last.lat_deg[row] = last.accuracy_m[row] = np.nan
        last.suspect_count[row] = 0
    left = quiet.take(np.array(sorted(row_of.values()), np.intp))
    return LastFixes.concat([last, left]) if row_of else last


@dataclass(slots=True)
class _Told:
    """What happened to one person, as it is being worked out."""

    book: Book
    assumed: frozenset[str]
    outcome: Outcome
    is_durable: bool = False
    silenced: dict[str, int] = field(default_factory=dict)  # devices whose silence closed a visit

    def moment(self, record: Record, transitions: list[Transition]) -> None:
        """Transitions at one moment: tell them, and ask the campaigns."""
        self.is_durable = True
        for transition in transitions:
            self.outcome.counts[transition.kind] += 1
            if transition.reason == "silence" and not transition.is_beacon:
                self.silenced[transition.device_id] = transition.at_ms
            for event in transition_events(transition, self.book):
                self._tell(record, event)
        for verdict in judge(record, transitions, self.book, self.assumed):
            self._decide(record, verdict)
        drop_closed_groups(record)

    def coarse(self, record: Record, fix: Fix) -> None:
        """Say why a fix that lies in a zone is no entry: it is too coarse."""
        for verdict in too_coarse(record, fix, self.book):
            self._decide(record, verdict)

    def _decide(self, record: Record, verdict: Verdict) -> None:
        decision = verdict.decision
        self.outcome.decisions.append(decision)
        reason = decision.reason.split(" ")[0]
        self.outcome.counts["fired" if decision.outcome == "fired" else f"suppressed:{reason}"] += 1
        if verdict.send is not None:
            self.outcome.sends.append(verdict.send)
        self._tell(record, verdict.event, said_by=verdict.send)

    def _tell(self, record: Record, event: Event, said_by: Send | None = None) -> None:
        self.outcome.events.append(event)
        webhook = self.book.engine.spec.webhook
        if webhook is None or PREFIX + event.type not in webhook.events:
            return
        if said_by is not None and said_by.lever == "webhook":
            return  # the message itself already goes there
        self.outcome.sends.append(event_send(event, record))


def event_send(event: Event, record: Record) -> Send:
    """The outbox row that tells the retailer's systems of an event."""
    return Send(
        send_id=event.id,
        kind="event",
        person_id=record.person_id,
        lever="webhook",
        created_ms=event.at_ms,
        expires_ms=event.at_ms + EVENT_EXPIRES_MS,
        due_ms=event.at_ms,
        event=cloud_event(event),
        location_epoch=record.epoch("location"),
    )


def _in_time(fixes: list[Fix], sightings: list[Sighting]) -> list[Fix | Sighting]:
    """Reports in the order in which they count: by post, then by their own time."""

    def key(report: Fix | Sighting) -> tuple[int, int]:
        return report.post_ix, _at_ms(report)

    reports: list[Fix | Sighting] = [*fixes, *sightings]
    return sorted(reports, key=key) if len(reports) > 1 else reports


def _at_ms(report: Fix | Sighting) -> int:
    return report.fix_ms if isinstance(report, Fix) else report.seen_ms


def _live(
    record: Record, reports: list[Fix | Sighting], batch: Batch, book: Book, told: _Told
) -> None:
    """Run a person's time through the reports up to now."""
    for closed in close_strange(record, book, batch.now_ms):
        told.moment(record, [closed])
    for moment in _moments(record, reports, batch, told):
        told.moment(record, moment)


def _moments(
    record: Record, reports: list[Fix | Sighting], batch: Batch, told: _Told
) -> Iterator[list[Transition]]:
    """Every moment at which something happened: what fell due before each report, then it.

    Before it means by its own time, or by our clock when it reached us: what had fallen due by
    then was told, and an older report must not find it undone just because both share a batch.
    """
    book = told.book
    for report in reports:
        if has_deadlines(record):
            yield from pass_deadlines(
                record,
                book,
                max(_at_ms(report), report.recv_ms - record.lag_ms) - 1,
                report.recv_ms,
                is_virtual=batch.is_virtual,
                post_ix=report.post_ix,
            )
        if isinstance(report, Fix):
            if report.edges:
                told.coarse(record, report)
            found = observe_fix(record, report, book)
        else:
            found = observe_sighting(record, report, book)
        if found:
            yield found
    if has_deadlines(record):
        until_ms = batch.now_ms - record.lag_ms
        yield from pass_deadlines(record, book, until_ms, batch.now_ms, is_virtual=batch.is_virtual)


def _keep(
    record: Record, reports: list[Fix | Sighting], book: Book, told: _Told, outcome: Outcome
) -> None:
    """Note the record for writing, unless there is nothing to remember and never was."""
    is_touched = told.is_durable or bool(reports) or record.version > 0
    if is_touched and not (record.version == 0 and record.is_empty):
        outcome.changes.append(Touched(record, next_due_ms(record, book), told.is_durable))
