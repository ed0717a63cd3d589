"""May we say something? The questions, in the order in which they are asked.

What may live here: the judgement of transitions against campaigns, the caps, and the same
questions asked once more before a send. No geometry, no I/O, no clock.

Theory of operation
-------------------
Every campaign about a zone is asked about every transition of the kind it waits for. The
questions are a table; the first that stops it gives the reason, and the reason is logged. What
passes them all competes: at most one message per person and visit group, the highest priority
first, then the order of the catalogue. The winner takes its place under the caps at once, in the
record that is committed together with the outbox row: there is no moment between the two.

Reasons are stable strings: ``not_live``, ``initial``, ``mocked``, ``stale``, ``store_closed``,
``store_closing``, ``window``, ``audience``, ``holdout``, ``no_consent:LEVER``,
``no_address:LEVER``, ``lawful_hours:LEVER``, ``quiet_hours``, ``cooldown``, ``cap:WINDOW n/max``
(``cap:all:...`` for all campaigns together, ``cap:person:...`` for the person's own choice),
``arbitration:CAMPAIGN``; before a send also ``expired`` and ``consent_withdrawn:PURPOSE``.

Invariants
----------
1. Missing consent is no; a consent withdrawn and given again does not revive what was queued.
2. No cap is exceeded: what counts is written before anything can be sent.
3. The same record, transitions and Book give the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from geoengine.core import calendar, caps
from geoengine.core.book import Book, CampaignPlan
from geoengine.core.events import cloud_event, decision_event
from geoengine.core.ids import digest, share_of
from geoengine.core.message import compose
from geoengine.core.model import PERSON_LEVERS, Store
from geoengine.core.record import Decision, Event, Fired, Record, Send, Transition
from geoengine.core.units import MINUTE_MS

FIRED_REASON = "ok"
UTC_NAME = "UTC"


@dataclass(frozen=True)
class Question:
    """One campaign about one transition of one person: what the questions look at."""

    plan: CampaignPlan
    transition: Transition
    record: Record
    book: Book
    assumed: frozenset[str]  # purposes that everybody is taken to have agreed to

    @cached_property
    def store(self) -> Store | None:
        """The store of the zone."""
        return self.book.store_of(self.transition.zone_ix)

    @cached_property
    def place_zone(self) -> str:
        """The time zone of the place."""
        if self.store is not None and self.store.time_zone:
            return self.store.time_zone
        return self.book.zones.time_zones.get(self.transition.zone_ix, UTC_NAME)

    @cached_property
    def country(self) -> str:
        """The country of the place, for its holidays."""
        return (self.store.country or "") if self.store else ""

    @cached_property
    def person_zone(self) -> str:
        """The time zone the person lives in; the place's where none is known."""
        return _sound_zone(self.record.time_zone) or self.place_zone

    @cached_property
    def lever(self) -> str:
        """The first lever with consent and an address; "" for none."""
        return next((lever for lever in self.plan.spec.levers if not self.lacks(lever)), "")

    def lacks(self, lever: str) -> str:
        """What is missing to reach the person by this lever; "" for nothing."""
        if lever not in PERSON_LEVERS:
            return ""
        if not _allows(self.record, lever, self.assumed):
            return f"no_consent:{lever}"
        return "" if self.address(lever) else f"no_address:{lever}"

    def address(self, lever: str) -> str:
        """Where the lever reaches the person."""
        if lever == "push":
            token = self.record.push_tokens.get(self.transition.device_id) or next(
                iter(self.record.push_tokens.values()), None
            )
            if token:
                return ":".join(token)
        known = self.record.addresses.get(lever, "")
        return known or ("assumed" if lever in self.assumed else "")


def _allows(record: Record, purpose: str, assumed: frozenset[str]) -> bool:
    """Consent on record, or taken for granted where nothing is on record."""
    return record.allows(purpose) or (purpose in assumed and purpose not in record.consents)


def _sound_zone(name: str) -> str:
    try:
        return name if name and calendar.time_zone(name) else ""
    except (ZoneInfoNotFoundError, ValueError):
        return ""


# --- the questions, each answering "" or why not ------------------------------------------------


def _live(q: Question) -> str:
    is_live = q.plan.live_from_ms <= q.transition.now_ms < q.plan.live_until_ms
    return "" if is_live else "not_live"


def _initial(q: Question) -> str:
    return "initial" if q.transition.is_initial and not q.plan.spec.initial else ""


def _mocked(q: Question) -> str:
    return "mocked" if q.transition.is_mocked and not q.plan.spec.mocked else ""


def _stale(q: Question) -> str:
    age_ms = q.transition.now_ms - q.transition.at_ms
    return "stale" if age_ms > q.plan.max_age_ms else ""


def _open(q: Question) -> str:
    if q.plan.spec.when_closed or q.store is None or not q.store.hours:
        return ""
    hours = calendar.hours(q.store.hours, q.place_zone, q.country)
    now_ms = q.transition.now_ms
    if not hours.is_open(now_ms):
        return "store_closed"
    minutes = float(q.book.zones.minutes[q.transition.zone_ix])
    arrival_ms = now_ms + (round(minutes * MINUTE_MS) if minutes == minutes else 0)
    is_coming = q.transition.kind in ("enter", "dwell", "crossed")
    return "store_closing" if is_coming and hours.until_ms(now_ms) <= arrival_ms else ""


def _window(q: Question) -> str:
    if q.plan.window is None:
        return ""
    window = calendar.hours(q.plan.window, q.place_zone, q.country)
    return "" if window.is_open(q.transition.now_ms) else "window"


def _audience(q: Question) -> str:
    if q.plan.audience is None or q.plan.audience.includes(q.record.attributes):
        return ""
    return "audience"


def _hold_out(q: Question) -> str:
    is_held = share_of("holdout", q.plan.id, q.record.person_id) < q.plan.hold_out
    return "holdout" if is_held else ""


def _consent(q: Question) -> str:
    return "" if q.lever else q.lacks(q.plan.spec.levers[0])


def _lawful(q: Question) -> str:
    return unlawful(q.lever, q.record, q.book, q.person_zone, q.country, q.transition.now_ms)


def _cooldown(q: Question) -> str:
    since_ms = q.transition.now_ms - q.plan.cooldown_ms
    is_cooling = q.plan.cooldown_ms > 0 and any(
        fired.campaign_id == q.plan.id and fired.at_ms > since_ms for fired in q.record.fired
    )
    return "cooldown" if is_cooling else ""


def _caps(q: Question) -> str:
    zone, now_ms = ZoneInfo(q.person_zone), q.transition.now_ms
    return (
        caps.reached(q.record, q.record.caps, now_ms, zone, label="person:")
        or caps.reached(q.record, q.plan.caps, now_ms, zone, campaign_id=q.plan.id)
        or caps.reached(q.record, q.book.engine.spec.caps, now_ms, zone, label="all:")
    )


QUESTIONS: tuple[Callable[[Question], str], ...] = (
    _live,
    _initial,
    _mocked,
    _stale,
    _open,
    _window,
    _audience,
    _hold_out,
    _consent,
    _lawful,
    _cooldown,
    _caps,
)


def unlawful(
    lever: str, record: Record, book: Book, zone_name: str, country: str, now_ms: int
) -> str:
    """Why this lever must not speak to the person at this hour; "" when it may.

    Lawful and quiet hours are about messages that reach a person, not about systems.
    """
    lawful = book.engine.spec.lawful_hours.get(lever)  # type: ignore[call-overload]
    if lawful and not calendar.hours(lawful, zone_name, country).is_open(now_ms):
        return f"lawful_hours:{lever}"
    if lever not in PERSON_LEVERS:
        return ""
    for quiet in (record.quiet_hours, book.engine.spec.quiet_hours):
        if quiet and calendar.hours(quiet, zone_name, country).is_open(now_ms):
            return "quiet_hours"
    return ""


# --- the judgement ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, the event that tells it, and the message if it fired."""

    decision: Decision
    event: Event
    send: Send | None = None


def judge(
    record: Record, moment: list[Transition], book: Book, assumed: frozenset[str]
) -> list[Verdict]:
    """What the campaigns make of the transitions of one person at one moment.

    ``record`` takes the reservations of what fired. Verdicts come in the order of arbitration.
    """
    questions = [
        Question(plan, transition, record, book, assumed)
        for transition in moment
        if transition.zone_ix >= 0 and transition.reason != "consent_withdrawn"
        for plan in book.plans(transition.zone_ix)
        if plan.spec.on == transition.kind
    ]
    questions.sort(key=lambda q: (-q.plan.spec.priority, q.plan.rank, q.transition.zone_ix))
    spoken = {
        transition.group_id: group.campaign_id
        for transition in moment
        for group in record.groups
        if group.group_id == transition.group_id and group.campaign_id
    }
    return [_answer(question, spoken) for question in questions]


def _answer(q: Question, spoken: dict[str, str]) -> Verdict:
    """The verdict on one question; ``spoken`` tells which campaign each visit group has heard."""
    reason = next((why for ask in QUESTIONS if (why := ask(q))), "")
    if not reason and (winner := spoken.get(q.transition.group_id)):
        reason = f"arbitration:{winner}"
    if reason:
        decision = _decision(q, "suppressed", reason)
        return Verdict(decision, decision_event(decision, q.transition))
    _reserve(q, spoken)
    return _fire(q)


def _decision(q: Question, outcome: str, reason: str, lever: str = "") -> Decision:
    trigger_id = ""
    if lever:
        trigger_id = trigger_id_of(q.plan.id, q.transition)
    return Decision(
        person_id=q.record.person_id,
        at_ms=q.transition.at_ms,
        campaign_id=q.plan.id,
        store_id=q.store.id if q.store else "",
        zone_id=q.transition.zone_id,
        visit_id=q.transition.visit_id,
        outcome=outcome,  # type: ignore[arg-type]
        reason=reason,
        lever=lever,
        trigger_id=trigger_id,
    )


def trigger_id_of(campaign_id: str, transition: Transition) -> str:
    """The trigger's name: one per campaign, visit and kind of transition, whenever worked out."""
    return digest("trigger", campaign_id, transition.visit_id, transition.kind)


def _reserve(q: Question, spoken: dict[str, str]) -> None:
    """Take the place under the caps, and the word for the visit group."""
    trigger_id = trigger_id_of(q.plan.id, q.transition)
    now_ms = q.transition.now_ms
    caps.remember(q.record, Fired(trigger_id, q.plan.id, now_ms), q.book.memory_ms)
    spoken[q.transition.group_id] = q.plan.id
    for group in q.record.groups:
        if group.group_id == q.transition.group_id:
            group.campaign_id = q.plan.id


def _fire(q: Question) -> Verdict:
    decision = _decision(q, "fired", FIRED_REASON, q.lever)
    said = compose(q.plan, q.transition, q.record, q.book, decision.trigger_id)
    event = decision_event(decision, q.transition, said)
    send = Send(
        send_id=event.id,
        kind="trigger",
        person_id=q.record.person_id,
        lever=q.lever,
        created_ms=q.transition.now_ms,
        expires_ms=q.transition.now_ms + q.plan.expires_ms,
        due_ms=q.transition.now_ms,
        event=cloud_event(event),
        campaign_id=q.plan.id,
        store_id=decision.store_id,
        address=q.address(q.lever),
        consent_epoch=q.record.epoch(q.lever),
        location_epoch=q.record.epoch("location"),
        late_send=q.plan.spec.late_send,
        trigger_id=decision.trigger_id,
    )
    return Verdict(decision, event, send)


# --- the same, once more, before the send -------------------------------------------------------


def may_send(send: Send, record: Record | None, book: Book, now_ms: int) -> str:
    """Why a message must not go out now; "" when it may.

    Asked immediately before every attempt, also of retries, with the record as it stands.
    """
    if now_ms >= send.expires_ms:
        return "expired"
    record = record or Record(send.person_id)
    withdrawn = _withdrawn(send, record)
    if withdrawn or send.kind == "event":
        return withdrawn
    plan = next((plan for plan in book.campaigns if plan.id == send.campaign_id), None)
    if plan is None or not plan.live_from_ms <= now_ms < plan.live_until_ms:
        return "not_live"
    return _bad_moment(send, record, plan, book, now_ms)


def _withdrawn(send: Send, record: Record) -> str:
    """The purpose whose consent is not the one the message was decided under."""
    purposes = [("location", send.location_epoch)]
    if send.lever in PERSON_LEVERS:
        purposes.append((send.lever, send.consent_epoch))
    for purpose, epoch in purposes:
        is_refused = purpose in record.consents and not record.allows(purpose)
        if is_refused or record.epoch(purpose) != epoch:
            return f"consent_withdrawn:{purpose}"
    return ""


def _bad_moment(send: Send, record: Record, plan: CampaignPlan, book: Book, now_ms: int) -> str:
    """Whether this is still the right moment: store open, window, lawful and quiet hours."""
    store_ix = book.store_ix_of.get(send.store_id)
    store = book.stores[store_ix] if store_ix is not None else None
    place_zone = (store.time_zone or UTC_NAME) if store else UTC_NAME
    country = (store.country or "") if store else ""
    if store and store.hours and not plan.spec.when_closed:
        if not calendar.hours(store.hours, place_zone, country).is_open(now_ms):
            return "store_closed"
    if (
        store
        and plan.window
        and not calendar.hours(plan.window, place_zone, country).is_open(now_ms)
    ):
        return "window"
    person_zone = _sound_zone(record.time_zone) or place_zone
    return unlawful(send.lever, record, book, person_zone, country, now_ms)
