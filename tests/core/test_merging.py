"""Two records of one person: the stricter of each, in whichever order they are joined."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core import calendar
from geoengine.core.consent.merging import merge
from geoengine.core.model import Cap
from geoengine.core.record import Consent, HeldCoupon, Order, Record, Timed, Visited
from tests.core.world import NOON_MS

HOUR_MS = 3_600_000
spans = st.tuples(st.integers(0, 23), st.integers(0, 23)).map(
    lambda s: f"{s[0]:02}:00-{s[1]:02}:00"
)
people = st.builds(
    Record,
    person_id=st.just("ann"),
    is_minor=st.booleans(),
    paused_until_ms=st.sampled_from([0, 5, 9]),
    quiet_hours=st.one_of(st.just(""), spans),
    caps=st.lists(st.builds(Cap, max=st.integers(1, 3), per=st.sampled_from(["day", "week"]))),
    consents=st.dictionaries(
        st.sampled_from(["sms", "push"]),
        st.builds(Consent, st.booleans(), st.integers(1, 5), st.integers(1, 9)),
    ),
)


def is_quiet(hours: str, hour: int) -> bool:
    at_ms = NOON_MS - NOON_MS % (24 * HOUR_MS) + hour * HOUR_MS + 1
    return bool(hours) and calendar.hours(hours, ZoneInfo("UTC").key, "").is_open(at_ms)


@given(people, people, st.integers(0, 23))
def test_nobody_may_be_told_more_than_each_of_the_two(ours: Record, theirs: Record, hour: int):
    before = (is_quiet(ours.quiet_hours, hour), is_quiet(theirs.quiet_hours, hour))
    granted = {
        purpose: all(
            one.consents[purpose].is_granted for one in (ours, theirs) if purpose in one.consents
        )
        for purpose in ours.consents.keys() | theirs.consents.keys()
    }
    epochs = {purpose: max(ours.epoch(purpose), theirs.epoch(purpose)) for purpose in granted}
    caps, pauses = [*ours.caps, *theirs.caps], (ours.paused_until_ms, theirs.paused_until_ms)
    minors = (ours.is_minor, theirs.is_minor)
    merge(ours, theirs, now_ms=NOON_MS)
    assert {purpose: ours.allows(purpose) for purpose in granted} == granted
    assert all(ours.epoch(purpose) >= 1 for purpose in epochs)
    assert ours.is_minor == any(minors)
    assert ours.paused_until_ms == max(pauses)
    assert all(cap in ours.caps for cap in caps)
    assert is_quiet(ours.quiet_hours, hour) == any(before)


def test_visits_orders_coupons_and_what_ends_by_itself_are_all_there():
    ours = Record(
        "ann",
        visited={"a": Visited(2, 10, 20), "b": Visited(1, 5, 5)},
        timed={"basket": Timed({"value": 1}, 50)},
        orders={"o1": Order("a", 1, 9)},
        coupons=[HeldCoupon("t1", "c", "a", "CODE1", 1, 9)],
    )
    theirs = Record(
        "phone",
        visited={"a": Visited(3, 4, 15)},
        timed={"basket": Timed({"value": 2}, 60)},
        orders={"o2": Order("b", 2, 8)},
        coupons=[HeldCoupon("t1", "c", "a", "CODE1", 1, 9), HeldCoupon("t2", "c", "a", "", 1, 9)],
    )
    merge(ours, theirs)
    assert ours.visited == {"a": Visited(5, 4, 20), "b": Visited(1, 5, 5)}
    assert ours.timed == {"basket": Timed({"value": 2}, 60)}
    assert sorted(ours.orders) == ["o1", "o2"]
    assert [coupon.trigger_id for coupon in ours.coupons] == ["t1", "t2"]


def test_a_merge_that_was_cut_short_counts_no_visit_twice():
    ours, theirs = Record("ann"), Record("phone", visited={"a": Visited(3, 4, 15)})
    merge(ours, theirs)
    merge(ours, theirs, is_again=True)
    assert ours.visited == {"a": Visited(3, 4, 15)}


def test_what_somebody_carries_is_still_theirs():
    ours, theirs = Record("ann", beacons=["u:1:1"]), Record("bob", beacons=["u:1:2", "u:1:1"])
    merge(ours, theirs)
    assert ours.beacons == ["u:1:1", "u:1:2"]


def test_of_two_tokens_of_a_device_the_one_told_last_is_kept():
    ann, old = Record("ann"), Record("old")
    ann.set_push("phone", "ios", "first", 1_000)
    ann.push_tokens["tablet"] = ["ios", "from before there were times"]
    old.set_push("phone", "ios", "second", 2_000)
    old.set_push("watch", "ios", "third", 500)
    merge(ann, old)
    assert ann.push_tokens["phone"] == ["ios", "second"]
    assert ann.push_since_ms == {"phone": 2_000, "watch": 500}
    merge(ann, Record("older", push_tokens={"phone": ["ios", "zeroth"]}))
    assert ann.push_tokens["phone"] == ["ios", "second"]
    ann.drop_push("phone")
    assert "phone" not in ann.push_since_ms | ann.push_tokens


def test_a_record_from_before_tokens_had_times_is_read_as_it_was():
    packed = msgspec.msgpack.encode(Record("ann", push_tokens={"phone": ["ios", "tok"]}))
    fields = msgspec.msgpack.decode(packed)[: Record.__struct_fields__.index("push_since_ms")]
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Record)
    assert (read.push_tokens, read.push_since_ms) == ({"phone": ["ios", "tok"]}, {})
