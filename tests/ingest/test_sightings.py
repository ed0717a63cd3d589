"""Beacons heard by phones and by boxes in stores."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from geoengine.ingest.sightings import Heard, Malformed, decode_sightings

NOW_MS = 1_790_000_000_000
UUID = "f7826da64fa24e988024bc5b71e0893e"
SIGHTING: dict[str, Any] = {
    "uuid": "F7826DA6-4FA2-4E98-8024-BC5B71E0893E",
    "major": 1,
    "minor": 65535,
    "rssi_dbm": -67,
    "seen_time": NOW_MS - 500,
    "device_id": "phone",
}


def decode(body: object) -> Heard:
    heard = decode_sightings(json.dumps(body).encode(), recv_ms=NOW_MS, post_ix=3)
    assert isinstance(heard, Heard)
    return heard


def test_a_sighting_becomes_one_row_with_a_plain_beacon_key() -> None:
    rows = decode(SIGHTING | {"tx_power_dbm": -59}).sightings
    assert rows.beacon_keys == [(UUID, 1, 65535)]
    assert (rows.device_ids, rows.gateway_ids) == (["phone"], [None])
    assert (rows.rssi_dbm[0], rows.tx_power_dbm[0]) == (-67.0, -59.0)
    assert (rows.seen_ms[0], rows.recv_ms[0], rows.post_ix[0]) == (NOW_MS - 500, NOW_MS, 3)


def test_a_gateway_may_have_heard_it_instead_of_a_phone() -> None:
    heard_by_box = {key: SIGHTING[key] for key in SIGHTING if key != "device_id"}
    rows = decode([heard_by_box | {"gateway_id": "till-1"}, SIGHTING]).sightings
    assert (rows.device_ids, rows.gateway_ids) == ([None, "phone"], ["till-1", None])


@pytest.mark.parametrize("uuid", [UUID, UUID.upper(), "f7826da6-4fa2-4e98-8024-bc5b71e0893e"])
def test_a_uuid_reads_the_same_in_any_case_with_or_without_dashes(uuid: str) -> None:
    assert decode(SIGHTING | {"uuid": uuid}).sightings.beacon_keys[0][0] == UUID


@pytest.mark.parametrize("tx_power_dbm", [None, 0, 3, 127, -300])
def test_a_calibration_that_no_radio_has_is_not_known(tx_power_dbm: object) -> None:
    assert math.isnan(decode(SIGHTING | {"tx_power_dbm": tx_power_dbm}).sightings.tx_power_dbm[0])


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("uuid_missing", {"uuid": ...}),
        ("uuid_bad", {"uuid": "f7826da6"}),
        ("uuid_bad", {"uuid": "g" * 32}),
        ("major_missing", {"major": ...}),
        ("major_bad", {"major": 65536}),
        ("minor_bad", {"minor": -1}),
        ("minor_missing", {"minor": None}),
        ("rssi_missing", {"rssi_dbm": ...}),
        ("rssi_bad", {"rssi_dbm": 0}),
        ("rssi_bad", {"rssi_dbm": 127}),
        ("rssi_bad", {"rssi_dbm": -200}),
        ("heard_by_missing", {"device_id": ...}),
        ("heard_by_both", {"gateway_id": "till-1"}),
        ("device_id_bad", {"device_id": "\t"}),
        ("gateway_id_bad", {"device_id": ..., "gateway_id": ""}),
        ("seen_time_missing", {"seen_time": ...}),
        ("seen_time_bad", {"seen_time": "noon"}),
        ("seen_time_future", {"seen_time": NOW_MS + 3_600_000}),
        ("seen_time_ancient", {"seen_time": 1}),
        ("wrong_type:major", {"major": "1"}),
        ("wrong_type:major", {"major": 1.5}),
        ("wrong_type:rssi_dbm", {"rssi_dbm": True}),
    ],
)
def test_a_bad_sighting_is_rejected_alone_with_its_index_and_reason(
    why: str, changes: dict[str, object]
) -> None:
    bad = {key: value for key, value in (SIGHTING | changes).items() if value is not ...}
    heard = decode([SIGHTING, bad, SIGHTING])
    assert [(reject.index, reject.reason) for reject in heard.rejects] == [(1, why)]
    assert heard.row_ix.tolist() == [0, 2]
    assert (len(heard.sightings), heard.count) == (2, 3)


def test_a_body_that_is_no_json_is_malformed() -> None:
    assert decode_sightings(b"uuid=1", recv_ms=NOW_MS) == Malformed("malformed_json")
    assert decode_sightings(b"", recv_ms=NOW_MS) == Malformed("empty")
