"""The questions a campaign is asked about a transition, and the table of their order.

Each takes a `Question` and answers "" or the reason why not; `rules` asks them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from geoengine.core import calendar
from geoengine.core.book import Book, CampaignPlan
from geoengine.core.consent.people import is_minor
from geoengine.core.ids import share_of
from geoengine.core.judging import caps
from geoengine.core.judging.lawful import hours_that_bind
from geoengine.core.judging.pausing import paused
from geoengine.core.judging.standing import standing
from geoengine.core.judging.withheld import with_withheld
from geoengine.core.model import PERSON_LEVERS, Store
from geoengine.core.offers import orders
from geoengine.core.record import Record, Transition
from geoengine.core.units import MINUTE_MS

UTC_NAME = "UTC"
HELD_OUT, HELD_OUT_GLOBALLY = "holdout", "holdout:global"


class Spot(Struct, frozen=True, gc=False):
    """A place and a person as calendars see them: store, time zones, whose holidays."""

    store: Store | None
    place_zone: str  # IANA name
    country: str
    person_zone: str  # where the person lives; the place's where none is known

    @classmethod
    def of(cls, zone_ix: int, record: Record, book: Book) -> Spot:
        """The spot of a zone (-1 for one no longer there) and a person."""
        store = book.store_of(zone_ix) if zone_ix >= 0 else None
        place_zone = (store.time_zone if store else book.zones.time_zones.get(zone_ix)) or UTC_NAME
        country = (store.country or "") if store else ""
        person_zone = calendar.sound_zone(record.time_zone) if record.time_zone else ""
        return cls(store, place_zone, country, person_zone or place_zone)

    def is_open(self, now_ms: int) -> bool:
        """Whether the store is open; one without hours, or no store at all, always is."""
        if self.store is None or not self.store.hours:
            return True
        return calendar.hours(self.store.hours, self.place_zone, self.country).is_open(now_ms)

    def is_within(self, window: str | None, now_ms: int) -> bool:
        """Whether now lies in a window, an OSM expression in the place's time; none is always."""
        if window is None:
            return True
        return calendar.hours(window, self.place_zone, self.country).is_open(now_ms)


class Question(Struct, gc=False):
    """One campaign about one transition of one person: what the questions look at.

    The cheap questions come first and stop most: what the later ones need is worked out when the
    first of them asks.
    """

    plan: CampaignPlan
    transition: Transition
    record: Record
    book: Book
    assumed: frozenset[str]  # purposes that everybody is taken to have agreed to
    _spot: Spot | None = None
    _lever: str | None = None

    @property
    def store(self) -> Store | None:
        """The store it is about."""
        return self._spot.store if self._spot else self.book.store_of(self.transition.zone_ix)

    @property
    def spot(self) -> Spot:
        """Where it happened, as calendars see it."""
        if self._spot is None:
            self._spot = Spot.of(self.transition.zone_ix, self.record, self.book)
        return self._spot

    @property
    def lever(self) -> str:
        """The first lever with consent and an address; "" for none."""
        if self._lever is None:
            self._lever = self._first_lever()
        return self._lever

    def _first_lever(self) -> str:
        for lever in self.plan.spec.levers:
            if not self.lacks(lever):
                return lever
        return ""

    def lacks(self, lever: str) -> str:
        """What is missing to reach the person by this lever; "" for nothing."""
        if lever not in PERSON_LEVERS:
            return ""
        if not self.record.agrees(lever, self.assumed):
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


# --- the questions, each answering "" or why not ------------------------------------------------


def _live(q: Question) -> str:
    is_live = q.plan.live_from_ms <= q.transition.now_ms < q.plan.live_until_ms
    return "" if is_live else "not_live"


def _paused(q: Question) -> str:
    if q.book.engine.spec.pause is None and not q.plan.spec.paused:
        return ""  # nearly always: to whom it would go need not be worked out
    return paused(q.book, q.plan, q.lever or q.plan.spec.levers[0])


def _initial(q: Question) -> str:
    return "initial" if q.transition.is_initial and not q.plan.spec.initial else ""


def _mocked(q: Question) -> str:
    return "mocked" if q.transition.is_mocked and not q.plan.spec.mocked else ""


def _stale(q: Question) -> str:
    age_ms = q.transition.now_ms - q.transition.at_ms
    return "stale" if age_ms > q.plan.max_age_ms else ""


def _open(q: Question) -> str:
    if q.plan.spec.when_closed:
        return ""
    now_ms, spot = q.transition.now_ms, q.spot
    if spot.store is None or not spot.store.hours:
        return ""
    hours = calendar.hours(spot.store.hours, spot.place_zone, spot.country)
    if not hours.is_open(now_ms):
        return "store_closed"
    if q.transition.kind == "exit":
        return ""
    minutes: float = q.book.zones.minutes.item(q.transition.zone_ix)
    arrival_ms = now_ms + (round(minutes * MINUTE_MS) if minutes == minutes else 0)
    return "store_closing" if hours.until_ms(now_ms) <= arrival_ms else ""


def _window(q: Question) -> str:
    return "" if q.spot.is_within(q.plan.window, q.transition.now_ms) else "window"


def _audience(q: Question) -> str:
    audience = q.plan.audience
    if audience is None:
        return ""
    store_id = q.store.id if q.store else ""
    known = standing(q.record, store_id, q.transition.now_ms, audience.asks)
    return "" if audience.includes(known) else "audience"


def _order(q: Question) -> str:
    if q.plan.spec.about != "order_ready":
        return ""
    store, now_ms = q.store, q.transition.now_ms
    return "" if store and orders.ready(q.record, store.id, now_ms) else "no_order"


def _left_alone(q: Question) -> str:
    return left_alone(q.record, q.transition.now_ms)


def _coupon_left(q: Question) -> str:
    return q.book.no_coupons.get(q.plan.id, "")


def _hold_out(q: Question) -> str:
    """Held out from every campaign, or from this one: always the same people."""
    if q.plan.is_transactional:
        return ""
    person_id, everywhere = q.record.person_id, q.book.hold_out
    if everywhere and share_of("holdout:global", person_id) < everywhere:
        return "holdout:global"
    if q.plan.hold_out == 0:
        return ""
    is_held = share_of("holdout", q.plan.id, person_id) < q.plan.hold_out
    return "holdout" if is_held else ""


def _consent(q: Question) -> str:
    return "" if q.lever else q.lacks(q.plan.spec.levers[0])


def _lawful(q: Question) -> str:
    if q.plan.is_transactional:
        return ""
    return unlawful(q.lever, q.record, q.book, q.spot, q.transition.now_ms)


def _cooldown(q: Question) -> str:
    since_ms = q.transition.now_ms - q.plan.cooldown_ms
    is_cooling = q.plan.cooldown_ms > 0 and any(
        fired.campaign_id == q.plan.id and fired.at_ms > since_ms for fired in q.record.fired
    )
    return "cooldown" if is_cooling else ""


def _caps(q: Question) -> str:
    record, plan, now_ms = q.record, q.plan, q.transition.now_ms
    if not record.fired and not record.fired_total:
        return ""  # nobody has heard anything: the least cap is one
    zone, everyones = calendar.time_zone(q.spot.person_zone), q.book.engine.spec.caps
    if plan.is_transactional:
        return caps.reached(record, plan.caps, now_ms, zone, campaign_id=plan.spec.id)
    heard = caps.advertised(record, q.book.transactional)
    return (
        (record.caps and caps.reached(heard, record.caps, now_ms, zone, label="person:"))
        or (plan.caps and caps.reached(record, plan.caps, now_ms, zone, campaign_id=plan.spec.id))
        or (everyones and caps.reached(heard, everyones, now_ms, zone, label="all:"))
        or ""
    )


QUESTIONS: tuple[Callable[[Question], str], ...] = (
    _live,
    _paused,
    _initial,
    _mocked,
    _stale,
    _open,
    _window,
    _audience,
    _order,
    _coupon_left,
    _left_alone,
    _hold_out,
    _consent,
    _lawful,
    _cooldown,
    _caps,
)


def first_no(q: Question) -> str:
    """The first reason that stops it; "" when nothing does."""
    return _first_no(q, QUESTIONS)


def is_held_out_only(q: Question) -> bool:
    """Whether nothing but the hold-out, which has just stopped it, stands against it.

    What the person would have heard counts under the caps and the cool-down as if it had been
    said: else who is held out would be counted more often than who has been spoken to.
    """
    heard = with_withheld(q.record, "" if _hold_out(q) == HELD_OUT_GLOBALLY else q.plan.id)
    imagined = Question(q.plan, q.transition, heard, q.book, q.assumed)
    return not _first_no(imagined, QUESTIONS[QUESTIONS.index(_hold_out) + 1 :])


def _first_no(q: Question, questions: tuple[Callable[[Question], str], ...]) -> str:
    for ask in questions:
        if why := ask(q):
            return why
    return ""


def left_alone(record: Record, now_ms: int) -> str:
    """Why nothing at all is said to somebody: children are not advertised to, and who asked for a
    pause has one.
    """
    if is_minor(record, now_ms):
        return "minor"
    return "paused" if now_ms < record.paused_until_ms else ""


def unlawful(lever: str, record: Record, book: Book, spot: Spot, now_ms: int) -> str:
    """Why this lever must not speak to the person at this hour; "" when it may.

    Lawful and quiet hours run in the person's time, and are about messages that reach a person,
    not about systems. The person's number is the one on record: a message to another is refused.
    """
    address = record.addresses.get(lever, "")
    for hours, country in hours_that_bind(book.engine.spec, lever, spot.country, address):
        if not _has(hours, spot, country, now_ms):
            return f"lawful_hours:{lever}"
    if lever not in PERSON_LEVERS:
        return ""
    is_quiet = any(
        quiet and _has(quiet, spot, spot.country, now_ms)
        for quiet in (record.quiet_hours, book.engine.spec.quiet_hours)
    )
    return "quiet_hours" if is_quiet else ""


def _has(expression: str, spot: Spot, country: str, now_ms: int) -> bool:
    """Whether now lies in an OSM expression in the person's time, with a country's holidays."""
    return calendar.hours(expression, spot.person_zone, country).is_open(now_ms)
