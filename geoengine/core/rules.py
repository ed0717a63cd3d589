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

Reasons are stable strings: ``accuracy`` (a fix in the zone was too coarse to be an entry),
``not_live``, ``initial``, ``mocked``, ``stale``, ``store_closed``, ``store_closing``, ``window``,
``audience``, ``holdout``, ``no_consent:LEVER``, ``no_address:LEVER``, ``lawful_hours:LEVER``,
``quiet_hours``, ``cooldown``, ``cap:WINDOW n/max`` (``cap:all:...`` for all campaigns together,
``cap:person:...`` for the person's own choice), ``arbitration:CAMPAIGN``; before a send also
``expired`` and ``consent_withdrawn:PURPOSE``.

Invariants
----------
1. Missing consent is no; a consent withdrawn and given again does not revive what was queued.
2. No cap is exceeded: what counts is written before anything can be sent.
3. The same record, transitions and Book give the same verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass

from geoengine.core import caps
from geoengine.core.book import Book, CampaignPlan
from geoengine.core.events import cloud_event, decision_event
from geoengine.core.ids import digest
from geoengine.core.message import compose
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.presence import newly_coarse
from geoengine.core.questions import Question, Spot, first_no, unlawful
from geoengine.core.record import Decision, Event, Fired, Record, Send, Transition
from geoengine.core.visits import Fix, not_an_entry

FIRED_REASON = "ok"


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
    if not questions:
        return []
    questions.sort(key=lambda q: (-q.plan.spec.priority, q.plan.rank, q.transition.zone_ix))
    spoken = {
        transition.group_id: group.campaign_id
        for transition in moment
        for group in record.groups
        if group.group_id == transition.group_id and group.campaign_id
    }
    return [_answer(question, spoken) for question in questions]


def too_coarse(record: Record, fix: Fix, book: Book) -> list[Verdict]:
    """What is said of campaigns that wait for an entry which the fix is too coarse to be."""
    told = []
    for zone_ix in newly_coarse(record, fix, book):
        plans = [plan for plan in book.plans(zone_ix) if plan.spec.on == "enter"]
        entry = not_an_entry(record, fix, zone_ix, book)
        for plan in plans:
            question = Question(plan, entry, record, book, frozenset())
            decision = _decision(question, "suppressed", "accuracy")
            told.append(Verdict(decision, decision_event(decision, entry)))
    return told


def _answer(q: Question, spoken: dict[str, str]) -> Verdict:
    """The verdict on one question; ``spoken`` tells which campaign each visit group has heard."""
    reason = first_no(q)
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
        store_id=q.spot.store.id if q.spot.store else "",
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
    """The purpose whose consent is not the one the message was decided under.

    News for the retailer's own systems needs no standing consent, or the withdrawal itself could
    not be told; but what was queued before a withdrawal dies with it.
    """
    purposes = [("location", send.location_epoch)]
    if send.lever in PERSON_LEVERS:
        purposes.append((send.lever, send.consent_epoch))
    for purpose, epoch in purposes:
        is_refused = purpose in record.consents and not record.allows(purpose)
        if (is_refused and send.kind == "trigger") or record.epoch(purpose) != epoch:
            return f"consent_withdrawn:{purpose}"
    return ""


def _bad_moment(send: Send, record: Record, plan: CampaignPlan, book: Book, now_ms: int) -> str:
    """Whether this is still the right moment: store open, window, lawful and quiet hours."""
    zone_ix = book.zone_ix_of.get(send.event["data"]["zone_id"], -1)
    spot = Spot.of(zone_ix, record, book)
    if not plan.spec.when_closed and not spot.is_open(now_ms):
        return "store_closed"
    if not spot.is_within(plan.window, now_ms):
        return "window"
    return unlawful(send.lever, record, book, spot, now_ms)
