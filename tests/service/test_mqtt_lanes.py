"""How messages wait for the intake, by themselves: no broker, no service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import Gateway
from geoengine.ingest.reports import Decoded, Position
from geoengine.service.brokers.address import Address, addresses_of
from geoengine.service.brokers.judging import judged
from geoengine.service.brokers.lanes import Lanes, Parcel
from geoengine.service.brokers.line import Letter
from geoengine.service.brokers.topics import Topics, Whose
from geoengine.service.settings import SettingsError

NOW_MS = 1_790_000_000_000


def letter(body: bytes = b"{}", *, is_retained: bool = False, is_again: bool = False) -> Letter:
    return Letter("t", body, 1, 1, is_retained, is_again)


def parcel(speaker: str, number: int) -> Parcel:
    whose = Whose("owntracks", "t", speaker, device_id=speaker)
    return Parcel(whose, letter(str(number).encode()), Decoded(), NOW_MS)


class Busy(Exception):
    """Will pass."""


class Door:
    """Takes parcels in, once it is told to; remembers who came, in order."""

    def __init__(self) -> None:
        self.came: list[tuple[str, list[int]]] = []
        self.done: list[tuple[str, int, bool]] = []
        self.refusals: list[Exception] = []
        self.opened = asyncio.Event()
        self.lanes = Lanes(self._enter, lambda error: isinstance(error, Busy), self._done)

    async def _enter(self, parcels: Sequence[Parcel]) -> None:
        self.came.append((parcels[0].whose.speaker, [int(one.letter.body) for one in parcels]))
        if self.refusals:
            raise self.refusals.pop(0)
        await self.opened.wait()
        if any(one.letter.body == b"13" for one in parcels):
            raise ValueError("thirteen")

    def _done(self, one: Parcel, error: Exception | None) -> None:
        self.done.append((one.whose.speaker, int(one.letter.body), error is None))

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            while self.lanes.held_count:
                await self.lanes.ended(10)


async def test_a_sender_has_one_post_in_hand_and_the_rest_goes_together_after_it() -> None:
    door = Door()
    for number in range(4):
        door.lanes.put(parcel("ann", number))
    door.lanes.put(parcel("bob", 0))
    await asyncio.sleep(0)
    door.lanes.put(parcel("ann", 4))
    door.opened.set()
    await door.ended()
    assert door.came == [("ann", [0, 1, 2, 3]), ("bob", [0]), ("ann", [4])]
    assert [number for speaker, number, _ in door.done if speaker == "ann"] == [0, 1, 2, 3, 4]
    assert door.lanes.held_count == door.lanes.held_bytes == 0


async def test_what_is_refused_for_now_is_tried_again_before_what_came_after_it() -> None:
    door = Door()
    door.refusals = [Busy(), Busy()]
    door.opened.set()
    door.lanes.put(parcel("ann", 1))
    await asyncio.sleep(0)
    door.lanes.put(parcel("ann", 2))
    await door.ended()
    assert door.came == [("ann", [1]), ("ann", [1, 2]), ("ann", [1, 2])]
    assert door.done == [("ann", 1, True), ("ann", 2, True)]


async def test_a_message_that_breaks_a_post_takes_no_other_with_it() -> None:
    door = Door()
    door.opened.set()
    for number in (12, 13, 14):
        door.lanes.put(parcel("ann", number))
    await door.ended()
    assert door.done == [("ann", 12, True), ("ann", 13, False), ("ann", 14, True)]


async def test_closed_lanes_finish_what_is_in_hand_and_begin_nothing() -> None:
    door = Door()
    door.lanes.put(parcel("ann", 1))
    await asyncio.sleep(0)
    door.lanes.put(parcel("ann", 2))
    door.lanes.close()
    door.opened.set()
    await door.lanes.ended(10)
    assert door.came == [("ann", [1])]
    assert door.done == [("ann", 1, True)]


def topics(url: str = "mqtt://h", **topic: str) -> Topics:
    gateways = [
        Gateway(id="AC:23:3F:C0:36:41", store="a", place="door", kind="minew"),
        Gateway(id="kitchen", store="a", place="door", kind="room_assistant"),
        Gateway(id="hall", store="a", place="hall", kind="room_assistant"),
        Gateway(id="cellar", store="b", place="door", kind="room_assistant"),
        Gateway(id="hub", store="a", place="door", kind="moko", topic="moko/+/device_to_app"),
    ]
    (address,) = addresses_of(url)
    return Topics({gateway.id: gateway for gateway in gateways}, address)


@pytest.mark.parametrize(
    ("topic", "kind", "speaker"),
    [
        ("owntracks/jane/phone", "owntracks", "jane/phone"),
        ("owntracks/jane/my phone/event", "owntracks", "jane/my phone"),
        ("/gw/ac233fc03641/status", "minew", "ac233fc03641"),
        ("room-assistant/entity/Kitchen/ble/x", "room_assistant", "kitchen"),
        ("moko/anything/device_to_app", "moko", "hub"),
    ],
)
def test_a_topic_says_what_it_carries_and_whose_it_is(topic: str, kind: str, speaker: str) -> None:
    found = topics().whose(topic)
    assert isinstance(found, Whose)
    assert (found.kind, found.speaker) == (kind, speaker)


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("owntracks/jane/phone/cmd", "our_own"),
        ("owntracks//phone", "nameless"),
        ("owntracks/jane", "unknown_topic"),
        ("gw/ac233fc03641/status", "unknown_topic"),
        ("/gw/ac233fc03642/status", "unlisted_gateway"),
        ("home/kitchen/BTtoMQTT/AABBCCDDEEFF", "unlisted_gateway"),  # listed as of another kind
        ("", "unknown_topic"),
        ("/", "unknown_topic"),
        ("espresense/devices/x/y/z", "unknown_topic"),
    ],
)
def test_nobody_of_ours_is_told_by_a_reason(topic: str, why: str) -> None:
    assert topics().whose(topic) == why


LEVELS = ["", "owntracks", "gw", "status", "home", "BTtoMQTT", "ruuvi", "kitchen", "+", "#", "\0"]


@given(st.lists(st.sampled_from(LEVELS) | st.text(max_size=3), max_size=8).map("/".join))
def test_no_topic_is_too_strange(topic: str) -> None:
    for found in (topics(), topics("mqtt://h?prefix=owntracks")):
        assert isinstance(found.whose(topic), Whose | str)


def test_a_gateway_that_names_others_may_name_those_of_its_kind_in_its_store() -> None:
    found = topics().whose("room-assistant/entity/kitchen/ble/x")
    assert isinstance(found, Whose)
    assert found.ears is not None
    assert [found.ears.whose(name) for name in ("hall", "KITCHEN", "cellar", None)] == [
        "hall", "kitchen", None, None,
    ]  # fmt: skip


def test_what_has_no_time_of_its_own_is_not_kept_for_us() -> None:
    filters = topics().filters()
    assert filters["$share/geoengine/owntracks/+/+/#"] == 1
    assert filters["$share/geoengine//gw/+/status"] == 1
    assert filters["$share/geoengine/home/+/BTtoMQTT/#"] == 0
    assert filters["$share/geoengine/moko/+/device_to_app"] == 1


def test_kinds_levels_and_the_share_are_the_operators_to_choose() -> None:
    found = topics("mqtt://h?share=&prefix=acme/paris&kinds=owntracks,minew")
    assert set(found.filters()) == {"acme/paris/owntracks/+/+/#", "acme/paris/gw/+/status"}
    assert found.base("acme/paris/owntracks/jane/phone/event") == "acme/paris/owntracks/jane/phone"
    assert isinstance(found.whose("acme/paris/gw/ac233fc03641/status"), Whose)


def test_an_address_tells_everybody_all_but_what_is_secret() -> None:
    url = "mqtts://jane:s%40cret@[::1]:8884?client_id=shop&session_s=60"
    (address,) = addresses_of(url)
    assert (address.host, address.port, address.user, address.password) == (
        "::1", 8884, "jane", "s@cret",
    )  # fmt: skip
    assert address.text == "mqtts://[::1]:8884"
    assert "cret" not in repr(address)
    assert [one.port for one in addresses_of("mqtt://a mqtts://b")] == [1_883, 8_883]


@pytest.mark.parametrize(
    "url",
    [
        "http://jane:secret@h",
        "mqtt://jane:secret@",
        "mqtt://jane:secret@h:port",
        "mqtt://jane:secret@h/owntracks",
        "mqtt://jane:secret@h?shares=one",
        "mqtt://jane:secret@h?session_s=-1",
        "mqtt://jane:secret@h?version=4",
        "mqtt://jane:secret@h?prefix=%23",
        "mqtt://jane:secret@h?share=a/b",
        "mqtt://jane:secret@h?ssl_ca_certs=ca.pem",
        "mqtts://jane:secret@h?ssl_ca_certs=/there/is/none.pem",
    ],
)
def test_an_address_that_makes_no_sense_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="GEOENGINE_MQTT") as refused:
        addresses_of(url)
    assert "secret" not in str(refused.value)


def at(*fix_ms: int) -> Decoded:
    return Decoded([Position(lat=1.0, lon=2.0, fix_ms=one) for one in fix_ms])


@pytest.mark.parametrize(
    ("how", "kept", "drops"),
    [
        ({}, 3, []),
        ({"is_again": True}, 2, ["no_time_of_its_own"]),
        ({"is_retained": True}, 1, ["no_time_of_its_own", "retained_stale"]),
    ],
)
def test_what_the_broker_had_kept_is_judged_by_its_own_time(
    how: Any, kept: int, drops: list[str]
) -> None:
    told = judged(at(NOW_MS, NOW_MS - 60_000, NOW_MS - 3_600_000), letter(**how), NOW_MS, 1_800_000)
    assert (len(told.reports), told.drops) == (kept, drops)


def test_addresses_without_options_are_all_that_most_need() -> None:
    assert addresses_of("mqtt://h") == [Address("h", 1_883, False)]
