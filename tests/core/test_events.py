"""What outsiders read stays the same to the byte: names, words, order."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.ids import digest, share_of
from geoengine.core.model import Cap, Coupon
from geoengine.core.record import Event
from geoengine.core.telling.events import encode_event, in_order
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store

TOLD = Path(__file__).parent / "told.ndjson"


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("visit", "ann", "shop", 7, 1.5), "4c26a13efa50c8f60e5b7c4c"),
        ((), "b8e1dda3ac0aa3820ad2990b"),
        (("",), "b8e1dda3ac0aa3820ad2990b"),
        (("é\ud800", None, True), "c943d85d10d1ba4f74b1ffc8"),
        (
            ("zone.entered", "301eed9a65d99a7c414e7df2", 1_776_168_060_000),
            "586cc0dc35f1cee44b21516e",
        ),
    ],
)
def test_names_never_change(parts: tuple, name: str):
    assert digest(*parts) == name


def test_who_is_held_out_never_changes():
    assert share_of("holdout", "hello", "ann") == 0.22795534955629448
    assert share_of("holdout", "hello", "bob") == 0.3653091741071923


async def test_a_story_is_told_in_the_same_bytes_for_ever():
    greeting = a_campaign(
        "hello",
        message={
            "en": "Hello from {store}: {directions}",
            "fr": "{store} {{5}}: {minutes} min, {code}",
        },
        title={"fr": "Bonjour {name}"},
        coupon=Coupon(kind="unique", valid="2h"),
        caps=[Cap(max=1, per="day")],
    )
    staying = a_campaign("stay", on="dwell", call_to_action="call")
    passing = a_campaign("by", on="crossed", call_to_action="web", caps=[Cap(max=9, per="total")])
    shop = a_store(phone="+33 1", url="https://example.org/a?b=c")
    world = World(
        campaigns=[greeting, staying, passing], stores=[shop], places=[("shop", "door")], minutes=5
    )
    ann = Walk(world.book())
    await ann.agree("ann", locale="fr-FR", attributes={"name": "Ann"})
    await ann.post((0, 2000), (60, 0), (200, 10), (400, 2000))
    await ann.post((3600, 1000), (3660, -1000))
    for second in (4000, 4002, 4004):
        await ann.hear((second, 1, -60.0))
    await ann.tick(4100)
    assert [encode_event(event) for event in ann.events] == TOLD.read_bytes().splitlines()


# --- order --------------------------------------------------------------------------------------

TYPES = (
    "zone.entered", "zone.exited", "zone.dwelled", "zone.crossed", "beacon.entered",
    "beacon.exited", "visit.closed", "trigger.fired", "trigger.suppressed", "consent.changed",
)  # fmt: skip
EVENTS = st.builds(
    Event,
    id=st.text("ab", max_size=2),
    type=st.sampled_from(TYPES),
    at_ms=st.integers(0, 3),
    person_id=st.sampled_from(["ann", "bob"]),
    data=st.one_of(
        st.just({}), st.fixed_dictionaries({"zone_id": st.sampled_from(["a", "b", None])})
    ),
)


def place_in_order(event: Event) -> tuple:
    """The specification: time, person, leaving before coming, zone, id."""
    leaving_first = ("exited", "closed", "entered", "dwelled", "crossed")
    noun, verb = event.type.split(".")
    is_movement = noun in ("zone", "beacon", "visit")
    rank = leaving_first.index(verb) if is_movement else len(leaving_first)
    return event.at_ms, event.person_id, rank, str(event.data.get("zone_id", "")), event.id


@given(st.lists(EVENTS, max_size=12))
def test_events_stand_by_time_and_person_and_leaving_comes_first(events: list[Event]):
    assert in_order(events) == sorted(events, key=place_in_order)


def test_what_is_in_order_stays_as_it_is():
    rng = random.Random(3)
    events = [
        Event(digest(i), rng.choice(TYPES), NOON_MS + rng.randrange(50), f"p{i % 7}", {})
        for i in range(500)
    ]
    once = in_order(events)
    assert once == sorted(events, key=place_in_order)
    assert in_order(iter(once)) == once
