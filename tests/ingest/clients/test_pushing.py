"""Our zones as regions of phones, and what phones then tell of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.places.regions import Advice, Region
from geoengine.ingest.clients import bgeo, owntracks
from geoengine.ingest.clients.pushing import (
    REGIONS_MAX,
    android_key,
    bgeo_answer,
    owntracks_answer,
    owntracks_command,
    platform_of,
    zone_of,
)
from geoengine.ingest.clients.sealing import unsealed
from geoengine.ingest.reports import Origin, Telling

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
NOW_MS = 1_790_000_000_000
ORIGIN = Origin(recv_ms=NOW_MS)


def region(zone_id: str, name: str = "Maison Rivoli", radius_m: float = 300.2) -> Region:
    return Region(zone_id, name, 48.8583, 2.347, radius_m, 0.0)


def advice(*regions: Region) -> Advice:
    return Advice(list(regions), 48.8566, 2.3522, 1_500.0)


def waypoints(*args: Any, **options: Any) -> list[dict[str, Any]]:
    (command,) = json.loads(owntracks_answer(*args, **options))
    assert (command["_type"], command["action"]) == ("cmd", "setWaypoints")
    assert command["waypoints"]["_type"] == "waypoints"
    return command["waypoints"]["waypoints"]


def test_the_answer_is_one_command_that_sets_the_nearest_regions():
    near = advice(region("rivoli"), region("bastille", "Bastille", 100))
    for platform in ("android", "ios", None):
        first, second = waypoints(near, platform)
        assert first == {
            "_type": "waypoint",
            "desc": "Maison Rivoli",
            "lat": 48.8583,
            "lon": 2.347,
            "rad": 301,  # a whole number, and the whole zone within
            "tst": android_key("rivoli"),
            "rid": "rivoli",
        }
        assert (second["rid"], second["rad"]) == ("bastille", 100)


@pytest.mark.parametrize("nothing", [None, advice()])
def test_nothing_to_say_is_an_empty_array(nothing: Advice | None):
    assert owntracks_answer(nothing, "ios") == owntracks_answer(nothing, "android") == b"[]"
    assert owntracks_command(nothing, "android") is None
    assert bgeo_answer(nothing) == b"{}"


def test_an_iphone_gets_the_fifteen_nearest_and_so_does_a_phone_of_unknown_kind():
    many = advice(*(region(f"shop-{ix}") for ix in range(80)))
    told = {platform: waypoints(many, platform) for platform in ("ios", None, "android")}
    assert [row["rid"] for row in told["ios"]] == [f"shop-{ix}" for ix in range(15)]
    assert told[None] == told["ios"]
    assert len(told["android"]) == REGIONS_MAX["android"]


@pytest.mark.parametrize(
    ("name", "desc"),
    [
        ("Rivoli: Ladies' wear", "Rivoli Ladies' wear"),
        ("+ Plus", "Plus"),
        ("|-+ Odd", "Odd"),
        (" two   words ", "two words"),
        (":", "zone 7"),
        ("", "zone 7"),
    ],
)
def test_a_name_has_nothing_that_an_iphone_takes_for_more(name: str, desc: str):
    (row,) = waypoints(advice(region("zone:7", name)), "ios")
    assert (row["desc"], row["rid"]) == (desc, "zone:7")


def test_an_iphone_is_told_to_forget_what_is_no_longer_near_and_android_keeps_it():
    near = advice(region("rivoli"))
    kept, forgotten = waypoints(near, "ios", gone=["bastille", "rivoli"])
    assert kept["rid"] == "rivoli"
    assert (forgotten["rid"], forgotten["desc"]) == ("bastille", "bastille")
    assert not -90 <= forgotten["lat"] <= 90
    assert [row["rid"] for row in waypoints(near, "android", gone=["bastille"])] == ["rivoli"]
    assert owntracks_answer(advice(), "android", gone=["bastille"]) == b"[]"
    assert [row["rid"] for row in waypoints(advice(), "ios", gone=["bastille"])] == ["bastille"]


def test_a_phone_that_encrypts_is_answered_in_a_box():
    (box,) = json.loads(owntracks_answer(advice(region("rivoli")), "android", passphrase="secret"))
    assert set(box) == {"_type", "data"}
    assert box["_type"] == "encrypted"
    plain = json.loads(unsealed(box["data"], "secret"))
    assert plain == owntracks_command(advice(region("rivoli")), "android")


def test_of_two_zones_with_one_key_the_nearer_is_watched():
    seen: dict[int, str] = {}
    twins = next(
        (seen[key], zone_id)
        for zone_id in (f"z{ix}" for ix in range(10_000_000))
        if seen.setdefault(key := android_key(zone_id), zone_id) != zone_id
    )
    rows = waypoints(advice(*map(region, twins), region("rivoli")), "android")
    assert [row["rid"] for row in rows] == [twins[0], "rivoli"]


@pytest.mark.parametrize(
    ("agent", "platform"),
    [
        ("Owntracks-Android/gms/420504000", "android"),
        ("OwnTracks/18.4.3 CFNetwork/1568.200.51 Darwin/24.1.0", "ios"),
        ("curl/8.5", None),
        ("", None),
    ],
)
def test_the_platform_is_told_by_the_user_agent(agent: str, platform: str | None):
    assert platform_of({"user-agent": agent}) == platform
    assert platform_of({}) is None


def test_transistorsofts_engine_is_told_to_forget_some_regions_and_watch_others():
    near = advice(region("rivoli"))
    assert json.loads(bgeo_answer(near, gone=["bastille", "rivoli"])) == {
        "background_geolocation": [
            ["removeGeofences", ["bastille"]],
            [
                "addGeofences",
                [
                    {
                        "identifier": "rivoli",
                        "latitude": 48.8583,
                        "longitude": 2.347,
                        "radius": 301,
                        "notifyOnEntry": True,
                        "notifyOnExit": True,
                        "notifyOnDwell": True,
                        "loiteringDelay": 120_000,
                    }
                ],
            ],
        ]
    }


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
def test_the_answers_have_the_keys_of_real_ones():
    real = json.loads((PAYLOADS / "owntracks/booklet_cmd_setWaypoints.json").read_text())
    (ours,) = json.loads(owntracks_answer(advice(region("rivoli"))))
    assert ours.keys() == real.keys()
    (row,), rows = ours["waypoints"]["waypoints"], real["waypoints"]["waypoints"]
    assert row.keys() == rows[0].keys()
    derived = "transistorsoft/response_rpc_addGeofences_derived.json"
    name, fences = json.loads((PAYLOADS / derived).read_text())["background_geolocation"]
    (told,) = json.loads(bgeo_answer(advice(region("rivoli"))))["background_geolocation"]
    assert (told[0], told[1][0].keys()) == (name, fences[0].keys())


# And back --------------------------------------------------------------------------------------

NEAR = ["bastille", "rivoli", "1234567890"]


def telling(region_id: str | None) -> Telling:
    return Telling(event="enter", region_id=region_id, fix_ms=NOW_MS)


@pytest.mark.parametrize("platform", ["ios", "android"])
@settings(deadline=None)
@given(zone_id=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=40))
def test_a_crossing_of_a_pushed_region_leads_back_to_its_zone(platform: str, zone_id: str):
    (row,) = waypoints(advice(region(zone_id)), platform)
    key = {"rid": row["rid"]} if platform == "ios" else {}
    crossing = {"_type": "transition", "event": "enter", "desc": row["desc"], "tst": 1_790_000_000}
    body = json.dumps(crossing | {"wtst": row["tst"]} | key).encode()
    (told,) = owntracks.decode(body, ORIGIN).reports
    assert isinstance(told, Telling)
    assert zone_of(told, ["bastille", zone_id]) == zone_id


def test_a_crossing_of_a_pushed_geofence_leads_back_to_its_zone():
    (_, (fence,)) = json.loads(bgeo_answer(advice(region("rivoli"))))["background_geolocation"][0]
    place = {"latitude": fence["latitude"], "longitude": fence["longitude"]}
    crossing = {"identifier": fence["identifier"], "action": "DWELL"}
    body = json.dumps({"location": {"coords": place, "geofence": crossing}}).encode()
    (told,) = bgeo.decode(body, ORIGIN).reports
    assert isinstance(told, Telling)
    assert (zone_of(told, NEAR), told.event) == ("rivoli", "dwell")


@pytest.mark.parametrize(
    "region_id", [None, "home", "1610104395", "9" * 400, "١٢٣", "-5", str(android_key("elsewhere"))]
)
def test_a_region_of_the_phones_owner_is_no_zone_of_ours(region_id: str | None):
    assert zone_of(telling(region_id), NEAR) is None
