"""One person, several devices, a phone number, a loyalty card: one record, the stricter of each."""

from __future__ import annotations

from pathlib import Path

from tests.service.serving import CATALOGUE, RIVOLI, served, walk_in
from tests.service.test_people import on_disk

FAMILY = {"phone": "+33612345678", "email": "home@example.org"}
PERSONAL = CATALOGUE.replace("assumed", "assumed, identify: [loyalty, phone]")
CAPPED = CATALOGUE.replace(
    "levers: [log]", "levers: [log]\n    caps: [{max: 1, per: total}]"
).replace("zones: {stores: [rivoli]}", "zones: {stores: [rivoli, bastille]}")
BASTILLE = (48.8533, 2.3692)


async def test_a_loyalty_card_makes_two_records_one_and_says_why(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for person_id, tier in (("web-7", "gold"), ("till-9", "none")):
            await client.ok("PUT", f"/v1/people/{person_id}", {"attributes": {person_id: tier}})
            await client.ok("PUT", f"/v1/people/{person_id}/consents/sms", {"source": "till"})
        await client.ok("DELETE", "/v1/people/till-9/consents/sms")
        told = await client.ok("POST", "/v1/people/till-9/identify", {"loyalty": "L-1"})
        assert told == {"person_id": "till-9", "merged": [], "shared": {}, "devices": []}
        told = await client.ok("POST", "/v1/people/web-7/identify", {"loyalty": " l-1"})
        assert told == {"person_id": "web-7", "merged": ["till-9"], "shared": {}, "devices": []}
        person = await client.ok("GET", "/v1/people/web-7")
        assert person == await client.ok("GET", "/v1/people/till-9")
        assert person["attributes"] == {"web-7": "gold", "till-9": "none"}
        assert not person["consents"]["sms"]["granted"]
        (merged,) = person["merges"]
        assert (merged["person_id"], merged["because"]) == ("till-9", "loyalty")
        assert merged["by"].startswith("server:")
        assert merged["stricter"] == ["consent:sms"]
        proof = await client.ok("GET", "/v1/people/web-7/consents")
        kinds = [entry["what"] for entry in proof["entries"]]
        assert (kinds, proof["broken"]) == (["granted", "carried", "carried", "withdrawn"], "")


async def test_a_family_that_shares_a_number_stays_a_family(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ann", FAMILY)
        told = await client.ok("POST", "/v1/people/bob/identify", FAMILY)
        assert told["merged"] == []
        assert told["shared"] == {"sms": ["ann"], "email": ["ann"]}


async def test_an_operator_whose_customers_have_numbers_of_their_own_may_say_so(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, PERSONAL) as client:
        await client.ok("PUT", "/v1/people/ann", FAMILY)
        told = await client.ok("POST", "/v1/people/bob/identify", FAMILY)
        assert told["merged"] == ["ann"]


async def test_devices_named_in_one_call_count_under_one_cap(tmp_path: Path) -> None:
    async with served(tmp_path, CAPPED) as client:
        await client.ok("POST", "/v1/people/ann/identify", {"devices": ["phone"]})
        both = {"devices": ["phone", "tablet"]}
        told = await client.ok("POST", "/v1/people/ann/identify", both)
        assert (told["merged"], told["devices"]) == ([], ["tablet"])
        for device_id, place in (("phone", RIVOLI), ("tablet", BASTILLE)):
            await client.ok("POST", "/v1/pings", walk_in(device_id, place))
        decisions = (await client.ok("GET", "/v1/people/ann/decisions"))["decisions"]
        assert sorted(one["reason"] for one in decisions) == ["audience", "cap:total 1/1", "ok"]
        assert sorted((await client.ok("GET", "/v1/people/ann"))["devices"]) == ["phone", "tablet"]


async def test_the_stricter_of_age_pause_quiet_hours_and_cadence_holds(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        late = {"minor": True, "quiet_hours": "12:00-14:00", "cadence": {"max": 2, "per": "week"}}
        early = {"paused_until": "2999-01-01T00:00:00Z", "quiet_hours": "22:00-07:00"}
        await client.ok("PUT", "/v1/people/a", late | {"loyalty": "L-1"})
        await client.ok("PUT", "/v1/people/b", early | {"caps": [{"max": 1, "per": "day"}]})
        await client.ok("POST", "/v1/people/b/identify", {"loyalty": "L-1"})
        person = await client.ok("GET", "/v1/people/b")
        assert person["minor"]
        assert person["paused_until"] == "2999-01-01T00:00:00.000Z"
        assert person["quiet_hours"] == "22:00-07:00, 12:00-14:00"
        assert person["caps"] == [{"max": 1, "per": "day"}, {"max": 2, "per": "week"}]
        assert person["merges"][0]["stricter"] == ["minor", "quiet_hours", "caps"]


async def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for body in ({"devices": ["a\u0007"]}, {"phone": "0612"}, {"shoe": "43"}):
            assert (await client.call("POST", "/v1/people/ann/identify", body))[0] == 400


async def test_of_merged_and_erased_people_no_name_is_left_anywhere(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = {"phone": "+33600000001", "email": "old@example.org", "loyalty": "L-1"}
        await client.ok("PUT", "/v1/people/canary-old", told)
        told = {"phone": "+33600000002", "email": "new@example.org", "loyalty": "L-2"}
        await client.ok("PUT", "/v1/people/canary-new", told)
        shared = await client.ok("POST", "/v1/people/canary-new/identify", {"loyalty": "L-1"})
        assert shared["merged"] == ["canary-old"]
        person = await client.ok("GET", "/v1/people/canary-old")
        assert person["addresses"] == {"sms": "+33600000002", "email": "new@example.org"}
        assert sorted(person["identifiers"].values()) == [
            "+33600000001", "L-1", "L-2", "old@example.org",
        ]  # fmt: skip
        await client.ok("DELETE", "/v1/people/canary-new")
        assert (await client.call("GET", "/v1/people/canary-old"))[0] == 404
    raw = on_disk(tmp_path)
    for canary in ("canary", "3360000000", "example.org"):
        assert canary not in raw, canary


async def test_an_apps_key_takes_no_person_for_a_device(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        app = client.using("app")
        await client.ok("PUT", "/v1/people/ann", FAMILY)
        await client.ok("PUT", "/v1/people/ann/consents/sms", {"source": "till"})
        status, problem, _ = await app.call("PUT", "/v1/devices/ann", {"person_id": "mallory"})
        assert (status, problem["type"]) == (403, "urn:geoengine:problem:forbidden")
        assert "identify" in problem["detail"]
        await app.ok("POST", "/v1/pings", walk_in("ann", person_id="mallory"))
        assert (await client.ok("GET", "/v1/people/ann"))["addresses"]["sms"] == FAMILY["phone"]
        assert (await client.call("GET", "/v1/people/mallory"))[0] == 404
        assert 'geoengine_fixes_total{outcome="not_a_device"} 1.0' in (
            (await client.ok("GET", "/metrics")).decode()
        )
        told = await client.ok("POST", "/v1/people/ann-marie/identify", {"devices": ["ann"]})
        assert told["person_id"] == "ann-marie"


async def test_a_yes_given_on_a_device_is_none_for_the_number_of_whom_an_app_says_it_is(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        for device_id in ("phone", "tablet"):
            for lever in ("sms", "email", "push"):
                await client.ok("PUT", f"/v1/people/{device_id}/consents/{lever}", {})
        await client.ok("PUT", "/v1/people/ann", FAMILY)
        await client.using("app").ok("PUT", "/v1/devices/phone", {"person_id": "ann"})
        person = await client.ok("GET", "/v1/people/ann")
        assert person["consents"].keys() == {"push"}
        assert person["merges"][0]["stricter"] == ["consent:email", "consent:sms"]
        await client.ok("POST", "/v1/people/ann/identify", {"devices": ["tablet"]})
        person = await client.ok("GET", "/v1/people/ann")
        assert {name for name, one in person["consents"].items() if one["granted"]} == {
            "email", "push", "sms",
        }  # fmt: skip
