"""`geoengine decode`: one raw message, in our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.cli.catalogue.decode import shown
from geoengine.ingest.kinds import KINDS
from geoengine.ingest.reports import Stay

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
BARE = UUID.replace("-", "")
HEARD = json.dumps({"rssi": -78, "uuid": BARE, "major": 1, "minor": 2, "txpower": -59})
STRANGER = json.dumps({"rssi": -42, "brand": "Apple"})
ADVERT = f"1aff4c000215{BARE}00010002c5"
TOPIC = "home/till-1/BTtoMQTT/608757"
NOON = "2026-11-21T12:00:00.500+01:00"


def run(kind: str, message: str | bytes, *options: str, code: int = 0) -> Result:
    """The command's result on a message at stdin."""
    result = CliRunner().invoke(main, ["decode", kind, "-", *options], input=message)
    assert result.exit_code == code, result.output
    return result


def printed(kind: str, message: str | bytes, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(kind, message, *options).stdout.splitlines()]


def test_a_beacon_is_printed_in_our_own_names():
    assert printed("theengs_omg", HEARD, "--topic", TOPIC, "--at", NOON) == [
        {
            "type": "sighting",
            "scheme": "ibeacon",
            "uuid": UUID,
            "major": 1,
            "minor": 2,
            "rssi_dbm": -78.0,
            "tx_power_dbm": -59.0,
            "gateway_id": "till-1",
            "seen_time": "2026-11-21T11:00:00.500Z",
        }
    ]


def test_an_eddystone_is_printed_with_its_two_names():
    advert = "1516aafe00e7" + "00112233445566778899" + "aabbccddeeff"
    (found,) = printed("raw_adv", advert)
    assert (found["scheme"], found["namespace"], found["instance"]) == (
        "eddystone-uid",
        "00112233445566778899",
        "aabbccddeeff",
    )
    assert found["uuid"] == "00112233-4455-6677-8899-aabbccddeeff"


def test_a_tag_without_a_uuid_is_of_no_scheme():
    tag = {"trackingId": "cart-7", "sourceId": "till", "rssi": -70, "timestamp": NOON}
    assert printed("kontakt", json.dumps(tag)) == [
        {
            "type": "sighting",
            "device_id": "cart-7",
            "gateway_id": "till",
            "rssi_dbm": -70.0,
            "seen_time": "2026-11-21T11:00:00.500Z",
        }
    ]


def test_a_position_is_printed_in_our_own_names():
    message = "id=phone&timestamp=1795258800&lat=48.85&lon=2.34&speed=10&accuracy=0.0&batt=80"
    assert printed("osmand", message) == [
        {
            "type": "position",
            "device_id": "phone",
            "lat": 48.85,
            "lon": 2.34,
            "fix_time": "2026-11-21T11:00:00.000Z",
            "speed_mps": pytest.approx(5.144, abs=1e-3),
            "battery_pct": 80.0,
            "message_id": printed("osmand", message)[0]["message_id"],
        }
    ]


@pytest.mark.parametrize("at_ms", [-1, 253_402_300_800_000])
def test_a_time_that_cannot_be_written_is_left_out(at_ms: int):
    assert shown(Stay(lat=1.5, lon=2.5, fix_ms=at_ms, arrived_ms=0)) == {
        "type": "visit",
        "lat": 1.5,
        "lon": 2.5,
        "arrived_time": "1970-01-01T00:00:00.000Z",
    }


def test_what_is_dropped_prints_nothing_and_its_reason_on_stderr():
    result = run("theengs", STRANGER)
    assert (result.stdout, result.stderr) == ("", "dropped: no beacon\n")
    assert "(2 times)" in run("kontakt", '[{"trackingId": ""}, {"trackingId": ""}]').stderr
    assert run("cassia", ": keep-alive\n\n").stderr == "dropped: nothing in it\n"


def test_the_credential_that_would_stand_for_somebody_wins():
    (found,) = printed("theengs", HEARD, "--topic", TOPIC, "--gateway", "door")
    assert found["gateway_id"] == "door"
    (found,) = printed("osmand", "id=a&lat=1&lon=2&timestamp=1795258800", "--device", "phone")
    assert found["device_id"] == "phone"


@pytest.mark.parametrize(
    "message",
    [
        ADVERT,
        ADVERT.upper() + "\n",
        " ".join(ADVERT[at : at + 2] for at in range(0, len(ADVERT), 2)),
        bytes.fromhex(ADVERT),
    ],
)
def test_bytes_are_read_as_they_are_or_in_hex(message: str | bytes):
    assert [found["uuid"] for found in printed("raw_adv", message)] == [UUID]


def test_adverts_in_hex_stand_one_a_line():
    assert len(printed("raw_adv", f"{ADVERT}\n{ADVERT}\n")) == 2


@pytest.mark.parametrize(
    "message",
    [
        f"POST /in/gw/theengs HTTP/1.1\r\nHost: localhost\r\nContent-Type: x\r\n\r\n{HEARD}",
        f"POST /in/gw/theengs HTTP/1.1\n\n{HEARD}\n",
        f"PUT /in/gw/theengs\n{HEARD}",
        f"{TOPIC} {HEARD}\n",
        f"/a b/till-1/BTtoMQTT/x {HEARD}",
        f"  {HEARD}\n\n",
    ],
)
def test_a_message_is_taken_out_of_what_it_was_kept_in(message: str):
    assert [found["uuid"] for found in printed("theengs", message)] == [UUID]


def test_the_topic_that_mosquitto_sub_prints_is_the_messages_own():
    assert printed("theengs", f"{TOPIC} {HEARD}")[0]["gateway_id"] == "till-1"
    (found,) = printed("theengs", f"{TOPIC} {HEARD}", "--topic", "home/door/BTtoMQTT/x")
    assert found["gateway_id"] == "door"


QUERY = "id=phone&lat=48.85&lon=2.34&timestamp=1795258800"


@pytest.mark.parametrize(
    "message",
    [
        f"GET /?{QUERY} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"POST /?{QUERY} HTTP/1.1\r\nHost: localhost",
        f"http://localhost:5055/?{QUERY}\n",
        f"/?{QUERY}",
        QUERY,
    ],
)
def test_a_request_may_say_all_in_its_target(message: str):
    assert printed("traccar_client", message)[0]["device_id"] == "phone"


def test_what_is_beside_a_body_may_be_told_by_options():
    body = json.dumps({"_type": "location", "lat": 1.5, "lon": 2.5, "tst": 1_795_258_800})
    (found,) = printed("owntracks", body, "--query", "u=jane&d=phone")
    assert found["device_id"] == "jane/phone"
    (found,) = printed(
        "owntracks", body, "--header", "X-Limit-U: jane", "--header", "X-Limit-D: tablet"
    )
    assert found["device_id"] == "jane/tablet"
    (found,) = printed(
        "owntracks", f"POST /pub HTTP/1.1\nX-Limit-U: jane\nX-Limit-D: watch\n\n{body}"
    )
    assert found["device_id"] == "jane/watch"


def test_a_passphrase_opens_what_is_encrypted(monkeypatch: pytest.MonkeyPatch):
    secret = pytest.importorskip("nacl.secret")
    encoding = pytest.importorskip("nacl.encoding")
    plain = json.dumps({"_type": "location", "lat": 1.5, "lon": 2.5, "tst": 1_795_258_800})
    box = secret.SecretBox(b"open sesame".ljust(32, b"\0"))
    data = box.encrypt(plain.encode(), encoder=encoding.Base64Encoder).decode()
    message = json.dumps({"_type": "encrypted", "data": data})
    assert printed("owntracks", message, "--device", "phone") == []
    monkeypatch.setenv("THE_PASSPHRASE", "open sesame")
    (found,) = printed(
        "owntracks", message, "--device", "phone", "--passphrase-env", "THE_PASSPHRASE"
    )
    assert (found["lat"], found["lon"]) == (1.5, 2.5)


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "message.json"
    path.write_text(HEARD)
    result = CliRunner().invoke(main, ["decode", "theengs", str(path)])
    assert json.loads(result.stdout)["uuid"] == UUID


def test_a_kind_or_a_file_that_there_is_not_is_told(tmp_path: Path):
    result = run("minitel", HEARD, code=2)
    assert all(kind in result.stderr for kind in KINDS)
    for path in (tmp_path / "nowhere.json", tmp_path):
        result = CliRunner().invoke(main, ["decode", "theengs", str(path)])
        assert result.exit_code == 2
        assert str(path) in result.stderr


@pytest.mark.parametrize(
    "options",
    [("--at", "noon"), ("--header", "X-Limit-U"), ("--passphrase-env", "NO_SUCH_VARIABLE")],
)
def test_an_option_that_makes_no_sense_is_told(options: tuple[str, str]):
    assert options[0] in run("owntracks", "{}", *options, code=2).stderr


def test_the_kinds_are_listed_where_help_is_asked_for():
    words = CliRunner().invoke(main, ["decode", "--help"]).stdout.replace("\n", " ")
    assert all(kind in words for kind in KINDS)
