"""People, devices, consents: what is told, shown, withdrawn and forgotten."""

from __future__ import annotations

from pathlib import Path

from geoengine.core.record import Fact, Record
from geoengine.core.units import DAY_MS
from geoengine.service.http.wire import PersonOut
from tests.service.serving import CATALOGUE, served, types, until, walk_in
from tests.state.samples import commit_of, decision, send

BASTILLE = (48.8533, 2.3692)
GRANTED = {"source": "app", "text_version": "2026-01", "screen": "welcome"}
HOURLESS = CATALOGUE.replace("levers: [sms]", "levers: [email]")  # may go at any hour


def on_disk(tmp_path: Path) -> str:
    """Every byte of the state's files."""
    files = list(tmp_path.glob("state.db*"))
    assert files
    return "".join(file.read_bytes().decode("latin-1") for file in files)


async def test_what_a_crm_tells_is_kept_and_null_forgets_it(tmp_path: Path) -> None:
    facts = {
        "attributes": {"status": "premium", "points": 300, "tags": ["a", 1]},
        "locale": "fr-FR",
        "time_zone": "Europe/Paris",
        "phone": "+33612345678",
        "email": "ann@example.org",
        "quiet_hours": "22:00-08:00",
        "caps": [{"max": 1, "per": "day"}],
        "beacon": "f7826da6-4fa2-4e98-8024-bc5b71e0893e:7:1",
    }
    async with served(tmp_path) as client:
        told = await client.ok("PUT", "/v1/people/ann", facts)
        assert told == await client.ok("GET", "/v1/people/ann")
        assert told["attributes"] == facts["attributes"]
        assert told["addresses"] == {"sms": "+33612345678", "email": "ann@example.org"}
        assert told["caps"] == [{"max": 1, "per": "day"}]
        assert told["beacons"] == ["f7826da64fa24e988024bc5b71e0893e:7:1"]
        told = await client.ok("PUT", "/v1/people/ann", {"phone": None, "caps": None})
        assert told["addresses"] == {"email": "ann@example.org"}
        assert told["caps"] == []
        assert told["time_zone"] == "Europe/Paris"


async def test_a_device_becomes_its_persons_and_brings_what_it_remembers(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        app = client.using("app")
        await app.ok("POST", "/v1/pings", walk_in("phone"))
        body = {"push_token": "tok", "platform": "ios", "person_id": "ann"}
        told = await app.ok("PUT", "/v1/devices/phone", body)
        assert told == {"device_id": "phone", "person_id": "ann"}
        person = await client.ok("GET", "/v1/people/ann")
        assert person["push_tokens"] == {"phone": ["ios", "tok"]}
        assert "phone" in person["devices"]
        assert [stay["inside"] for stay in person["presences"]] == [True]
        assert await client.ok("GET", "/v1/people/phone") == person
        await app.ok("PUT", "/v1/devices/phone", {"push_token": None})
        assert (await client.ok("GET", "/v1/people/ann"))["push_tokens"] == {}


async def test_a_push_token_is_kept_for_a_device_that_is_nobodys_yet(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.using("app").ok("PUT", "/v1/devices/phone", {"push_token": "tok"})
        assert told["person_id"] == "phone"
        assert (await client.ok("GET", "/v1/people/phone"))["push_tokens"] == {"phone": ["", "tok"]}


async def test_the_decisions_about_a_person_say_why_newest_first(tmp_path: Path) -> None:
    async with served(tmp_path, HOURLESS) as client:
        await client.ok("POST", "/v1/pings", walk_in("phone", BASTILLE))
        await client.ok("PUT", "/v1/people/phone", {"attributes": {"status": "premium"}})
        decisions = (await client.ok("GET", "/v1/people/phone/decisions"))["decisions"]
        assert [(row["campaign_id"], row["outcome"], row["reason"]) for row in decisions] == [
            ("text", "suppressed", "audience")
        ]
        assert set(decisions[0]) == {
            "at", "campaign_id", "store_id", "zone_id", "visit_id", "outcome", "reason", "lever",
        }  # fmt: skip
        found = await client.ok("GET", "/v1/people/phone/decisions?limit=1")
        assert len(found["decisions"]) == 1


async def test_an_audience_asks_about_attributes_and_a_lever_about_consent(tmp_path: Path) -> None:
    async with served(tmp_path, HOURLESS) as client:
        await client.ok("PUT", "/v1/people/bob", {"attributes": {"status": "premium"}})
        told = await client.ok("POST", "/v1/pings", walk_in("bob", BASTILLE))
        (suppressed,) = [event for event in told["events"] if event["type"].endswith("suppressed")]
        assert suppressed["data"]["reason"] == "no_consent:email"
        facts = {"attributes": {"status": "premium"}, "email": "eve@example.org"}
        await client.ok("PUT", "/v1/people/eve", facts)
        await client.ok("PUT", "/v1/people/eve/consents/email", GRANTED)
        told = await client.ok("POST", "/v1/pings", walk_in("eve", BASTILLE))
        assert types(told) == ["zone.entered", "trigger.fired"]


async def test_a_consent_is_kept_with_its_evidence_and_counts_its_changes(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        path = "/v1/people/ann/consents/sms"
        assert (await client.ok("PUT", path, GRANTED))["epoch"] == 1
        told = await client.ok("DELETE", path)
        assert (told["granted"], told["epoch"]) == (False, 2)
        assert (await client.ok("PUT", path, GRANTED))["epoch"] == 3
        consents = (await client.ok("GET", "/v1/people/ann"))["consents"]
        assert consents["sms"]["evidence"] == GRANTED


async def test_a_consent_without_evidence_says_who_recorded_it(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for body in (None, {}):
            assert (await client.ok("PUT", "/v1/people/ann/consents/sms", body))["granted"]
            consents = (await client.ok("GET", "/v1/people/ann"))["consents"]
            assert consents["sms"]["evidence"] == {"source": "api:server"}


async def test_withdrawing_location_closes_visits_and_forgets_where_one_was(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", walk_in("phone"))
        await client.ok("DELETE", "/v1/people/phone/consents/location")
        person = await client.ok("GET", "/v1/people/phone")
        assert (person["presences"], person["devices"]) == ([], {})
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert told["events"] == [], "a refusal stands even where consent is assumed"


async def test_an_erased_person_is_nowhere(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/devices/phone", {"person_id": "canary-ann"})
        await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert (await client.ok("DELETE", "/v1/people/canary-ann"))["erased"]
        assert (await client.call("GET", "/v1/people/canary-ann"))[0] == 404
        assert (await client.ok("GET", "/v1/people/canary-ann/decisions"))["decisions"] == []
        assert not (await client.ok("DELETE", "/v1/people/canary-ann"))["erased"]
    assert "canary-ann" not in on_disk(tmp_path)


async def test_the_messages_of_a_person_are_told_with_address_text_and_end_and_go_with_them(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        state, later_ms = client.service.context.state, client.service.context.clock() + DAY_MS

        async def ended() -> bool:
            return any(row.status == "delivered" for row in await state.sends())

        await client.ok("POST", "/v1/pings", walk_in("phone"))  # while it is nobody's
        await until(ended)
        await client.ok("PUT", "/v1/devices/phone", {"person_id": "canary-ann"})
        waiting = send("s1", "canary-ann", later_ms, address="+33600000001")
        to_shop = send("s2", "canary-ann", later_ms + 1, lever="staff", address="fcm:token")
        await state.commit(commit_of(sends=(waiting, to_shop)))
        person = await client.ok("GET", "/v1/people/canary-ann")
        shop, sms, log = person["messages"]
        assert person["cut"] == []
        assert (sms["status"], sms["address"], sms["settled"]) == ("pending", "+33600000001", None)
        assert (log["lever"], log["status"], log["campaign_id"]) == ("log", "delivered", "hello")
        assert log["event"]["data"]["message"]["body"] == "Five minutes to Maison Rivoli."
        assert log["created"] <= log["settled"] < sms["due"] < sms["expires"]
        assert (shop["lever"], shop["address"]) == ("staff", "")
        assert await client.ok("GET", "/v1/people/phone") == person
        await client.ok("DELETE", "/v1/people/canary-ann")
        assert await state.sends() == []
        assert (await client.call("GET", "/v1/people/canary-ann"))[0] == 404
    assert "canary-ann" not in on_disk(tmp_path)


async def test_of_whom_there_is_more_than_an_answer_holds_the_newest_is_told_and_that_it_is_so(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        context = client.service.context
        later_ms = context.clock() + DAY_MS
        sends = [send(f"s{number}", "ann", later_ms + number) for number in range(1_001)]
        await context.state.commit(commit_of(sends=tuple(sends[:-1])))
        person = await client.ok("GET", "/v1/people/ann")
        assert (len(person["messages"]), person["cut"]) == (1_000, [])
        decisions = tuple(decision("ann", number) for number in range(1_001))
        facts = tuple(Fact(f"f{number}", "visit", "ann", number) for number in range(1_001))
        await context.state.commit(
            commit_of(sends=tuple(sends[-1:]), decisions=decisions, facts=facts)
        )
        person = await client.ok("GET", "/v1/people/ann")
        kinds = ["decisions", "facts", "messages"]
        assert ([len(person[kind]) for kind in kinds], person["cut"]) == ([1_000] * 3, kinds)
        assert person["messages"][0]["send_id"] == "s1000"


async def test_ids_may_hold_any_printable_character(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        path = "/v1/people/" + "ann%20b%C3%A9%2Fc%3Fd"
        await client.ok("PUT", path, {"locale": "fr"})
        assert (await client.ok("GET", path))["person_id"] == "ann bé/c?d"


def test_everything_that_is_remembered_of_a_person_is_exported() -> None:
    as_other_words = {
        "is_minor": "minor",
        "paused_until_ms": "paused_until",
        "fired": "triggers",
        "push_since_ms": "push_since",
    }
    # Of the service's own working, and gone in minutes: versions, delays, half-heard beacons.
    own = {"version", "lag_ms", "heard", "groups"}
    told = {as_other_words.get(name, name) for name in Record.__struct_fields__ if name not in own}
    assert told <= set(PersonOut.__struct_fields__)
