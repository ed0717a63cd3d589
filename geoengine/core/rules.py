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
``not_live``, ``paused:engine``, ``paused:campaign`` (by the operator), ``initial``, ``mocked``,
``stale``, ``store_closed``, ``store_closing``, ``window``, ``audience``, ``no_order``,
``coupon_pool_empty``, ``coupon_used_up``, ``minor``, ``paused`` (by the person), ``holdout``,
``holdout:global`` (from all campaigns),
``no_consent:LEVER``, ``no_address:LEVER``, ``lawful_hours:LEVER``, ``quiet_hours``, ``cooldown``,
``cap:WINDOW n/max`` (``cap:all:...`` for all campaigns together, ``cap:person:...`` for the
person's own choice), ``arbitration:CAMPAIGN``; before a send also ``expired``,
``consent_withdrawn:PURPOSE`` and ``consent_expired:PURPOSE``.

Invariants
----------
1. Missing consent is no; a consent withdrawn and given again does not revive what was queued.
2. No cap is exceeded: what counts is written before anything can be sent.
3. The same record, transitions and Book give the same verdicts.
"""

from __future__ import annotations

from msgspec import Struct

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.consent.lapsing import is_over
from geoengine.core.ids import BETWEEN, Names
from geoengine.core.judging import caps
from geoengine.core.judging.pausing import paused
from geoengine.core.judging.questions import (
    HELD_OUT,
    HELD_OUT_GLOBALLY,
    Question,
    Spot,
    first_no,
    is_held_out_only,
    left_alone,
    unlawful,
)
from geoengine.core.judging.withheld import withhold
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.offers import coupons
from geoengine.core.presence import newly_coarse
from geoengine.core.record import Decision, Event, Fired, Outcome, Record, Send, Transition
from geoengine.core.saying.message import compose
from geoengine.core.telling.events import cloud_event, decision_event
from geoengine.core.visiting.attendance import PURPOSE
from geoengine.core.visiting.visits import Fix, not_an_entry

FIRED_REASON = "ok"
_TRIGGERS = Names("trigger")


# --- the judgement ------------------------------------------------------------------------------


class Verdict(Struct, frozen=True, gc=False):
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
    questions = []
    for transition in moment:
        if transition.zone_ix >= 0 and transition.reason != "consent_withdrawn":
            for plan in book.plans_on(transition.kind, transition.zone_ix):
                questions.append(Question(plan, transition, record, book, assumed))
    return answered(questions, record) if questions else []


def answered(questions: list[Question], record: Record) -> list[Verdict]:
    """The verdicts on questions about one person at one moment, in the order of arbitration."""
    if len(questions) > 1:
        questions.sort(key=_arbitration)
    spoken = {group.group_id: group.campaign_id for group in record.groups if group.campaign_id}
    return [_answer(question, spoken) for question in questions]


def too_coarse(record: Record, fix: Fix, book: Book) -> list[Verdict]:
    """What is said of campaigns that wait for an entry which the fix is too coarse to be."""
    told = []
    for zone_ix in newly_coarse(record, fix, book):
        plans = book.plans_on("enter", zone_ix)
        if not plans:
            continue
        entry = not_an_entry(record, fix, zone_ix, book)
        for plan in plans:
            question = Question(plan, entry, record, book, frozenset())
            told.append(refused(question, "accuracy"))
    return told


def refused(q: Question, reason: str) -> Verdict:
    """The verdict on a question that need not be asked."""
    decision = _decision(q, "suppressed", reason)
    return Verdict(decision, decision_event(decision, q.transition))


def _arbitration(q: Question) -> tuple[int, int, int]:
    """Who may speak first: by priority, then by the catalogue."""
    return -q.plan.spec.priority, q.plan.rank, q.transition.zone_ix


def _answer(q: Question, spoken: dict[str, str]) -> Verdict:
    """The verdict on one question; ``spoken`` tells which campaign each visit group has heard."""
    reason = first_no(q)
    if not reason and not q.plan.is_transactional and (winner := spoken.get(q.transition.group_id)):
        reason = f"arbitration:{winner}"
    if reason:
        decision = _decision(q, "suppressed", reason, trigger_id=_withheld(q, reason, spoken))
        return Verdict(decision, decision_event(decision, q.transition))
    trigger_id = trigger_id_of(q.plan.spec.id, q.transition)
    _reserve(q, trigger_id, spoken)
    return _fire(q, trigger_id)


def _withheld(q: Question, reason: str, spoken: dict[str, str]) -> str:
    """The trigger that a hold-out alone has stopped, now noted; "" where something else would."""
    if reason not in (HELD_OUT, HELD_OUT_GLOBALLY) or spoken.get(q.transition.group_id):
        return ""
    if not is_held_out_only(q):
        return ""
    withhold(q.record, q.plan.spec.id, q.transition.now_ms, q.book.memory_ms)
    return trigger_id_of(q.plan.spec.id, q.transition)


def _decision(
    q: Question, outcome: Outcome, reason: str, lever: str = "", trigger_id: str = ""
) -> Decision:
    transition, store = q.transition, q.store
    return Decision(
        person_id=q.record.person_id,
        at_ms=transition.at_ms,
        campaign_id=q.plan.spec.id,
        store_id=store.id if store else "",
        zone_id=transition.zone_id,
        visit_id=transition.visit_id,
        outcome=outcome,
        reason=reason,
        lever=lever,
        trigger_id=trigger_id,
        is_measured=q.record.agrees(PURPOSE, q.assumed),
    )


def trigger_id_of(campaign_id: str, transition: Transition) -> str:
    """The trigger's name: one per campaign, visit and kind of transition, whenever worked out."""
    return _TRIGGERS.of(f"{campaign_id}{BETWEEN}{transition.visit_id}{BETWEEN}{transition.kind}")


def _reserve(q: Question, trigger_id: str, spoken: dict[str, str]) -> None:
    """Take the place under the caps, and the word for the visit group."""
    campaign_id, group_id = q.plan.spec.id, q.transition.group_id
    caps.remember(q.record, Fired(trigger_id, campaign_id, q.transition.now_ms), q.book.memory_ms)
    if q.plan.is_transactional:
        return  # advertising may speak as well: it is no message instead of another
    spoken[group_id] = campaign_id
    for group in q.record.groups:
        if group.group_id == group_id:
            group.campaign_id = campaign_id


def _fire(q: Question, trigger_id: str) -> Verdict:
    record, now_ms, lever = q.record, q.transition.now_ms, q.lever
    decision = _decision(q, "fired", FIRED_REASON, lever, trigger_id)
    said = compose(q.plan, q.transition, record, q.book, trigger_id)
    if q.plan.spec.coupon is not None and q.transition.coupon is None:
        code, store_id = said["coupon"]["code"], decision.store_id
        coupons.hold(record, q.plan, q.transition, store_id, trigger_id, code)
    event = decision_event(decision, q.transition, said)
    send = Send(
        send_id=event.id,
        kind="trigger",
        person_id=record.person_id,
        lever=lever,
        created_ms=now_ms,
        expires_ms=now_ms + q.plan.expires_ms,
        due_ms=now_ms,
        event=cloud_event(event),
        campaign_id=decision.campaign_id,
        store_id=decision.store_id,
        address=q.address(lever),
        consent_epoch=record.epoch(lever),
        location_epoch=record.epoch("location"),
        late_send=q.plan.spec.late_send,
        trigger_id=trigger_id,
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
        return withdrawn or paused(book, None, send.lever)
    if why := _run_out(send, record, book, now_ms) or left_alone(record, now_ms):
        return why
    if send.kind == "test":
        spot = Spot.of(0 if len(book.zones) else -1, record, book)  # any of the retailer's
        return paused(book, None, send.lever) or unlawful(send.lever, record, book, spot, now_ms)
    plan = book.plan_of.get(send.campaign_id)
    if plan is None or not plan.live_from_ms <= now_ms < plan.live_until_ms:
        return "not_live"
    return paused(book, plan, send.lever) or _bad_moment(send, record, plan, book, now_ms)


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
        if (is_refused and send.kind != "event") or record.epoch(purpose) != epoch:
            return f"consent_withdrawn:{purpose}"
    return ""


def _run_out(send: Send, record: Record, book: Book, now_ms: int) -> str:
    """The purpose whose consent has run out, also where nobody has noted it yet."""
    for purpose in ("location", send.lever):
        if purpose in record.consents and is_over(record, purpose, book.consent_terms, now_ms):
            return f"consent_expired:{purpose}"
    return ""


def _bad_moment(send: Send, record: Record, plan: CampaignPlan, book: Book, now_ms: int) -> str:
    """Whether this is still the right moment: store open, window, lawful and quiet hours."""
    zone_ix = book.zone_ix_of.get(send.event["data"]["zone_id"], -1)
    spot = Spot.of(zone_ix, record, book)
    if not plan.spec.when_closed and not spot.is_open(now_ms):
        return "store_closed"
    if not spot.is_within(plan.window, now_ms):
        return "window"
    if plan.is_transactional:
        return ""
    return unlawful(send.lever, record, book, spot, now_ms)
