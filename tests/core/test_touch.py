"""Taps, scans and sounds: one is proof of a place, where radio needs three and a lead."""

from __future__ import annotations

import json

from geoengine.core.ids import touch_key
from geoengine.core.ranging import TOUCH_DBM
from geoengine.ingest.sightings import Heard, decode_sightings
from tests.core.world import NOON_MS, Walk, World

BOOK = World(places=[("shop", "entrance"), ("shop", "till")]).book()


async def test_one_touch_enters_its_place_at_once_also_from_beside_a_loud_beacon() -> None:
    walk = Walk(BOOK)
    await walk.hear(*((second, 1, -50) for second in range(20)))
    await walk.hear((20, 2, TOUCH_DBM))
    told = [(event.type, event.data["zone_id"]) for event in walk.events if "beacon" in event.type]
    assert told == [
        ("beacon.entered", "shop/entrance"),
        ("beacon.exited", "shop/entrance"),
        ("beacon.entered", "shop/till"),
    ]


def heard(**row: object) -> Heard:
    body = json.dumps({"seen_time": NOON_MS, "device_id": "ann"} | row).encode()
    found = decode_sightings(body, recv_ms=NOON_MS)
    assert isinstance(found, Heard)
    return found


def test_a_touch_is_a_kind_and_a_code_and_nothing_of_radio() -> None:
    for kind in ("nfc", "qr", "ultrasound"):
        found = heard(kind=kind, code="till 7")
        assert found.sightings.beacon_keys == [touch_key(kind, "till 7")]
        assert found.sightings.rssi_dbm.tolist() == [TOUCH_DBM]
    assert touch_key("qr", "a") != touch_key("nfc", "a")


def test_what_is_missing_of_a_touch_is_said() -> None:
    assert [r.reason for r in heard(kind="qr").rejects] == ["code_missing"]
    assert [r.reason for r in heard(kind="qr", code="x" * 513).rejects] == ["code_bad"]
    assert [r.reason for r in heard(kind="smell", code="x").rejects] == ["kind_bad"]
    row = heard(kind="qr", code="x", device_id=None, gateway_id="g")
    assert [r.reason for r in row.rejects] == ["device_id_missing"]
    assert [r.reason for r in heard(code="x").rejects] == ["uuid_missing"]
