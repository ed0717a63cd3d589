"""The last day: a campaign of its own speaks of a coupon that is about to end and is not redeemed.

Its moment is a deadline of the record. Then it is asked everything that a campaign is asked, about
the store that the coupon is from. What passes with the hour (quiet hours, a closed store) postpones
it to the first moment at which it would not, before the coupon ends; whatever else stands against
it, and its having spoken, ends it. So each campaign reminds of each coupon once at the most.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.ids import digest
from geoengine.core.judging.questions import Question, first_no
from geoengine.core.offers.coupons import KEPT_MS, drop, held_by
from geoengine.core.record import HeldCoupon, Record, Transition
from geoengine.core.rules import Verdict, answered, refused
from geoengine.core.units import MINUTE_MS

REMIND, FORGET = "remind", "forget_coupon"
PASSING: Final = frozenset(
    {"window", "quiet_hours", "lawful_hours", "store_closed", "store_closing"}
)
STEP_MS: Final = 15 * MINUTE_MS  # how finely a better moment is looked for
NEVER: Final = -1


def next_moment(record: Record, book: Book) -> tuple[int, str, str] | None:
    """What falls due next for the coupons in somebody's hands, on our clock; of which trigger."""
    moments = [(held.until_ms + KEPT_MS, FORGET, held.trigger_id) for held in record.coupons]
    for held in record.coupons:
        moments += [(at_ms, REMIND, held.trigger_id) for _plan, at_ms in _asking(held, book)]
    return min(moments, default=None)


def forget(record: Record, trigger_id: str) -> None:
    """Forget a coupon that has ended and is not even shown any more."""
    drop(record, trigger_id)


def remind(
    record: Record, trigger_id: str, book: Book, assumed: frozenset[str], now_ms: int
) -> list[Verdict]:
    """Ask the campaigns whose moment to speak of a coupon has come."""
    held = held_by(record, trigger_id)
    if held is None:
        return []
    due = [plan for plan, at_ms in _asking(held, book) if at_ms <= now_ms]
    zone_ix = _zone_ix(held, book)
    held.reminded |= dict.fromkeys((plan.id for plan in due), NEVER)
    if now_ms >= held.until_ms or zone_ix < 0:
        return []
    moment = _moment(record, held, zone_ix, book, now_ms)
    about = [plan for plan in due if plan in book.plans_on("coupon_expiring", zone_ix)]
    questions = [Question(plan, moment, record, book, assumed) for plan in about]
    if not record.agrees("location", assumed):
        return [refused(question, "no_consent:location") for question in questions]
    verdicts = answered(questions, record)
    for question in questions:
        if _reason(question, verdicts).partition(":")[0] in PASSING:
            held.reminded[question.plan.id] = _later_ms(question, held)
    return verdicts


def _asking(held: HeldCoupon, book: Book) -> list[tuple[CampaignPlan, int]]:
    """The campaigns that have yet to speak of a coupon, and when each will be asked."""
    if held.is_redeemed:
        return []
    found = []
    for plan, before_ms in book.reminders:
        reminder = plan.spec.reminder
        if (
            reminder is not None
            and reminder.campaigns
            and held.campaign_id not in (reminder.campaigns)
        ):
            continue
        at_ms = held.reminded.get(plan.id, held.until_ms - before_ms)
        # A coupon that is no longer than its notice needs none: it has just been given.
        if at_ms != NEVER and at_ms > held.from_ms:
            found.append((plan, at_ms))
    return found


def _zone_ix(held: HeldCoupon, book: Book) -> int:
    """The zone that stands for where a coupon is from: its store's reach; -1 when that is gone."""
    areas = []
    if held.store_id in book.store_ix_of:
        areas = book.areas_of_store(book.store_ix_of[held.store_id])
    whole = [zone_ix for zone_ix in areas if zone_ix not in book.zones.places]
    return whole[0] if whole else book.zone_ix_of.get(held.zone_id, -1)


def _moment(record: Record, held: HeldCoupon, zone_ix: int, book: Book, now_ms: int) -> Transition:
    name = digest("coupon_expiring", held.trigger_id)
    return Transition(
        kind="coupon_expiring",
        person_id=record.person_id,
        device_id="",
        zone_id=book.zones.ids[zone_ix],
        zone_ix=zone_ix,
        visit_id=name,
        group_id=name,
        at_ms=now_ms,
        now_ms=now_ms,
        coupon=held,
    )


def _reason(question: Question, verdicts: list[Verdict]) -> str:
    told = (one.decision for one in verdicts if one.decision.campaign_id == question.plan.id)
    return next((one.reason for one in told if one.outcome == "suppressed"), "")


def _later_ms(question: Question, held: HeldCoupon) -> int:
    """The first moment at which nothing that passes stands against it; `NEVER` for none in time."""
    now_ms = question.transition.now_ms
    for at_ms in range(now_ms + STEP_MS, held.until_ms, STEP_MS):
        moment = _moment(question.record, held, question.transition.zone_ix, question.book, at_ms)
        then = Question(question.plan, moment, question.record, question.book, question.assumed)
        if first_no(then).partition(":")[0] not in PASSING:
            return at_ms
    return NEVER
