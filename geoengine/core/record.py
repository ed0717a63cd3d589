"""The nouns that are remembered: one record a person, and what a step leaves behind.

A record is read and written whole, with a version. Its fields are packed by position, so new
fields go at the end and carry a default; none is ever removed or reordered.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from geoengine.core.model import Cap

Json = dict[str, Any]


class Packed(Struct, array_like=True, omit_defaults=True, gc=False):
    """Packed by position."""


class Consent(Packed):
    """Given or withdrawn, and how many times it has changed: a send carries the epoch it saw."""

    is_granted: bool
    epoch: int
    at_ms: int  # when the person said so; 0 where nobody knows
    evidence: Json = {}
    is_noticed: bool = False  # that it is about to run out has been told


class Presence(Packed):
    """What we remember of a person in one zone, from the first half-confirmed sign to the exit."""

    is_inside: bool
    zone_print: int  # the zone's fingerprint when this began: another shape is another zone
    device_id: str  # whose evidence counts: one visit belongs to one device
    since_ms: int  # inside: when the visit began; else when the unconfirmed sign came
    seen_ms: int  # the last evidence of being inside
    visit_id: str = ""
    group_id: str = ""
    pending_ms: int = -1  # a first sign of the opposite, waiting for a second; -1 none
    is_initial: bool = False
    is_dwelled: bool = False
    dwell_ms: int = -1  # when DWELL is due, in the time of the fixes; -1 never (again)
    is_mocked: bool = False
    after_ms: int = -1  # the device's fix before the one that let it in; bounds repairs
    is_outline: bool = False  # the zone is a shop's outline: its name is like a beacon place's


class Heard(Packed):
    """The latest signal strengths of one beacon place, oldest first, and its lead in decibels times
    seconds over the place its person stands in.
    """

    seen_ms: list[int]
    rssi_dbm: list[float]
    lead_dbs: float = 0.0


class Fired(Packed):
    """A trigger that took a place under the caps."""

    trigger_id: str
    campaign_id: str
    at_ms: int


class Group(Packed):
    """Visits that share one message: when the last one opened, and who spoke."""

    group_id: str
    opened_ms: int
    campaign_id: str = ""


class Visited(Packed):
    """How often somebody came into a store, and when first and last."""

    visit_count: int
    first_ms: int
    last_ms: int


class Timed(Packed):
    """A fact about somebody that ends by itself, such as an abandoned basket."""

    value: Any
    until_ms: int


class Order(Packed):
    """Something of theirs that lies ready at a store."""

    store_id: str
    ready_ms: int
    until_ms: int  # kept for them until then
    told_ms: int = -1  # when the store's staff was told that they are coming; -1 not yet
    group_id: str = ""  # of the visits in which staff was told
    name: str = ""  # what staff is to call its owner by; "" where nothing was said


class HeldCoupon(Packed):
    """A coupon in somebody's hands; what became of its code is on the code's card."""

    trigger_id: str
    campaign_id: str
    store_id: str
    code: str  # "" until a pool has given one
    from_ms: int
    until_ms: int
    is_redeemed: bool = False
    reminded: dict[str, int] = field(default_factory=dict)  # campaign -> asked again when; -1 never
    zone_id: str = ""  # of the trigger


class Attended(Packed):
    """A visit to a shop that may not be over: what has told of it so far."""

    since_ms: int
    until_ms: int
    by: str  # the surest that told
    is_initial: bool = False
    path: list[tuple[str, int, int]] = []  # places of the shop: name, from, until; in order


class Withheld(Packed):
    """What a campaign would have said to somebody it is held out from: the caps hold for that too.

    So those held out are counted at the same moments as those who are spoken to.
    """

    count: int = 0
    at_ms: list[int] = []  # the latest, as long as any cap looks back


class Record(Packed):
    """Everything remembered of one person."""

    person_id: str
    version: int = 0  # as loaded; the state back end raises it at each commit
    consents: dict[str, Consent] = field(default_factory=dict)  # by purpose
    addresses: dict[str, str] = field(default_factory=dict)  # lever -> phone number, e-mail, ...
    push_tokens: dict[str, list[str]] = field(default_factory=dict)  # device -> platform, token
    attributes: Json = field(default_factory=dict)
    locale: str = ""
    time_zone: str = ""
    quiet_hours: str = ""
    caps: list[Cap] = field(default_factory=list)  # chosen by the person, on top of the campaigns'
    devices: dict[str, int] = field(default_factory=dict)  # device -> up to when we know of it
    presences: dict[str, Presence] = field(default_factory=dict)  # by zone
    heard: dict[str, Heard] = field(default_factory=dict)  # by beacon zone
    groups: list[Group] = field(default_factory=list)
    fired: list[Fired] = field(default_factory=list)
    fired_total: dict[str, int] = field(default_factory=dict)  # campaign -> since the beginning
    lag_ms: int = 0  # how long the latest fix took to reach us
    beacons: list[str] = field(default_factory=list)  # what the person carries: uuid:major:minor
    ledger: list[bytes] = field(default_factory=list)  # consents ever given or withdrawn, chained
    is_minor: bool = False
    paused_until_ms: int = 0  # told to be left alone until then
    identifiers: dict[str, str] = field(default_factory=dict)  # kind -> loyalty id and the like
    merges: list[Json] = field(default_factory=list)  # whose records this one took over, and why
    visited: dict[str, Visited] = field(default_factory=dict)  # by store
    timed: dict[str, Timed] = field(default_factory=dict)  # facts that end by themselves, by name
    orders: dict[str, Order] = field(default_factory=dict)  # what lies ready for them, by its id
    coupons: list[HeldCoupon] = field(default_factory=list)
    attended: dict[str, Attended] = field(default_factory=dict)  # by store
    withheld: dict[str, Withheld] = field(default_factory=dict)  # by campaign
    push_since_ms: dict[str, int] = field(default_factory=dict)  # device -> token told last when

    def set_push(self, device_id: str, platform: str, token: str, now_ms: int) -> None:
        """Push reaches this device by this token, as it says now."""
        self.push_tokens[device_id] = [platform, token]
        self.push_since_ms[device_id] = now_ms

    def take_push(self, other: Record) -> None:
        """Take over where push reaches another's devices; of one device what was told last."""
        for device_id, token in other.push_tokens.items():
            since_ms = other.push_since_ms.get(device_id, 0)
            if device_id not in self.push_tokens or since_ms > self.push_since_ms.get(device_id, 0):
                self.push_tokens[device_id] = token
                self.push_since_ms |= {device_id: since_ms} if since_ms else {}

    def drop_push(self, device_id: str) -> None:
        """Push does not reach this device any more."""
        self.push_tokens.pop(device_id, None)
        self.push_since_ms.pop(device_id, None)

    def allows(self, purpose: str) -> bool:
        """Whether consent for the purpose is on record and stands; missing is no."""
        consent = self.consents.get(purpose)
        return consent is not None and consent.is_granted

    def agrees(self, purpose: str, assumed: frozenset[str]) -> bool:
        """Consent on record, or taken for granted where nothing is on record."""
        return self.allows(purpose) or (purpose in assumed and purpose not in self.consents)

    def epoch(self, purpose: str) -> int:
        """How many times the consent for the purpose has changed."""
        consent = self.consents.get(purpose)
        return 0 if consent is None else consent.epoch

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing left worth a record: no more than when a device was heard of."""
        if self.presences or self.fired or any(getattr(self, name) for name in _WORTH_KEEPING):
            return False
        return self.devices.keys() <= {self.person_id} and not any(self.fired_total.values())


# Not: who it is and when last heard of.
_WORTH_KEEPING = tuple(
    name
    for name in Record.__struct_fields__
    if name not in ("person_id", "version", "devices", "fired_total", "lag_ms")
)


class Change(Struct, frozen=True, gc=False):
    """A record to be written, at the version it was loaded with; 0 for a new one."""

    record: Record
    due_ms: int | None  # when its next deadline passes, on our clock; None for none
    is_durable: bool = True
    is_gone: bool = False  # nothing is left to remember: compare the version, then drop the record


Kind = Literal["enter", "dwell", "exit", "crossed", "coupon_expiring"]
Outcome = Literal["fired", "suppressed"]


class Transition(Struct, frozen=True, gc=False):
    """A person came into a zone, lingered, left it, or passed through."""

    kind: Kind
    person_id: str
    device_id: str
    zone_id: str
    zone_ix: int  # -1 for a zone that is no longer in the Book
    visit_id: str
    group_id: str
    at_ms: int  # the time of the fix, or of the deadline
    now_ms: int  # the time on our clock when it became known
    is_initial: bool = False
    is_mocked: bool = False
    is_beacon: bool = False
    duration_s: float = 0.0  # exit and crossed
    reason: str = ""  # exit: left, silence, zone_changed, consent_withdrawn
    post_ix: int = -1  # the post that caused it; -1 for a deadline
    since_ms: int = -1  # when the visit began; -1 of one that was only crossed
    coupon: HeldCoupon | None = None  # that is about to end


class Decision(Struct, frozen=True, omit_defaults=False, gc=False):
    """A campaign that fired for a person, or why it did not. Times are milliseconds.

    A ``trigger_id`` with a suppression by hold-out says that nothing else stood against it.
    """

    person_id: str
    at_ms: int
    campaign_id: str
    store_id: str
    zone_id: str
    visit_id: str
    outcome: Outcome
    reason: str
    lever: str = ""
    trigger_id: str = ""
    is_measured: bool = False  # whether what they did may be counted: consent `measurement`


class Fact(Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """Something that happened and that reports count; of two with one id the first counts.

    ``at_ms`` is when it happened, of a visit when it began. About a message, ``trigger_id``,
    ``campaign_id`` and ``store_id`` are the trigger's. What ``data`` holds by kind, no key of which
    names a person, a position or a code:

    ==============  ==============================================================================
    ``visit``       ``by`` (beacon, outline, door), ``confidence`` 0 to 1, ``duration_s``,
                    ``initial``, ``path`` [[place, seconds], ...] through the places of the shop
    ``sent``        ``lever``, ``variant`` (of several messages, "" for the only one), ``cost`` and
                    ``currency`` of all its parts where known, ``parts`` (segments of an SMS);
                    once a trigger, when its first attempt was taken by the provider
    ``delivered``   ``lever``, ``variant``; once a trigger
    ``failed``      ``lever``, ``variant``, ``status`` (expired, refused, dead; undelivered where
                    its provider says so), ``reason``; ``cost``, ``currency`` and ``parts`` where it
                    may have been taken all the same
    ``opened``      ``lever``, ``variant``; each opening, reports count triggers
    ``clicked``     ``lever``, ``variant``, ``call_to_action``; each click
    ``redeemed``    ``amount`` and ``currency`` (both or none), ``coupon`` (unique, shared, pool);
                    ``store_id`` is the till's
    ``taken_back``  a redemption that does not count after all: the same, and ``why`` (mistake,
                    refund), ``redeemed`` (the id of that fact), ``after_s`` how much later; its
                    ``at_ms`` is that redemption's, so that whoever counts those of a time finds it
    ``opted_out``   ``lever`` (the purpose withdrawn), ``source`` (sms, email, app, wallet, api)
    ==============  ==============================================================================

    Amounts and costs are numbers in units of the currency (12.5 EUR), currencies ISO 4217.
    """

    id: str  # the same whenever the same thing is worked out again
    kind: str
    person_id: str
    at_ms: int
    store_id: str = ""
    campaign_id: str = ""
    trigger_id: str = ""
    visit_id: str = ""
    data: Json = {}


class Event(Struct, frozen=True, gc=False):
    """Something outsiders may hear of, before it is dressed as a CloudEvent."""

    id: str  # the same whenever the same thing is worked out again
    type: str  # without the leading `geoengine.`
    at_ms: int
    person_id: str
    data: Json
    post_ix: int = -1  # the post whose fix caused it; -1 for a deadline


class Send(Struct, omit_defaults=True, gc=False):
    """A row of the outbox: one message on its way to one lever."""

    send_id: str  # deterministic; receivers see it as webhook-id, and never another
    kind: Literal["trigger", "event", "test"]
    person_id: str
    lever: str
    created_ms: int
    expires_ms: int
    due_ms: int  # not before; moves with each retry
    event: Json  # the CloudEvent to send
    campaign_id: str = ""
    store_id: str = ""
    address: str = ""
    consent_epoch: int = 0
    location_epoch: int = 0
    late_send: Literal["drop", "hold"] = "drop"
    attempts: int = 0
    last_error: str = ""
    trigger_id: str = ""
