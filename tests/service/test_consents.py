"""Consents: who may give and take them, what proves them, and what outlives the person."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from geoengine.cli import main
from geoengine.core.calendar import rfc3339
from tests.service.serving import CATALOGUE, now_s, served, until, walk_in
from tests.service.test_people import on_disk

TEXT = "Yes, text me about offers near the shop."
GIVEN = {"source": "app:settings", "text_version": "2026-03", "text": TEXT, "locale": "fr-FR"}
SMS = "/v1/people/ann/consents/sms"
PROOF = "/v1/people/ann/consents"


def ago(seconds: float) -> str:
    return rfc3339(round((now_s() - seconds) * 1_000))


async def test_a_consent_is_proven_with_text_place_time_and_who_wrote_it_down(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        said = ago(3_600)
        told = await client.ok("PUT", SMS, GIVEN | {"at": said, "screen": "welcome"})
        assert (told["granted"], told["at"]) == (True, said)
        proof = await client.ok("GET", PROOF)
        (entry,) = proof["entries"]
        assert (entry["what"], entry["said"], entry["source"]) == ("granted", said, "app:settings")
        assert entry["text_hash"] == sha256(TEXT.encode()).hexdigest()
        assert (entry["text_version"], entry["locale"]) == ("2026-03", "fr-FR")
        assert entry["by"].startswith("server:")
        assert entry["evidence"] == {"screen": "welcome"}
        assert (proof["broken"], proof["whole"], proof["head"]) == ("", True, entry["hash"])
        assert proof["consents"]["sms"]["ends"] > said


async def test_an_app_may_take_back_and_never_give(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", SMS, GIVEN)
        app = client.using("app")
        assert (await app.call("PUT", SMS, GIVEN))[0] == 403
        assert (await app.call("GET", PROOF))[0] == 403
        assert (await app.call("POST", "/v1/people/ann/identify", {"loyalty": "1"}))[0] == 403
        assert not (await app.ok("DELETE", SMS))["granted"]
        entries = (await client.ok("GET", PROOF))["entries"]
        assert [(e["what"], e["source"]) for e in entries] == [
            ("granted", "app:settings"),
            ("withdrawn", "api:app"),
        ]


async def test_who_wrote_it_down_is_for_us_to_say(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", SMS, GIVEN | {"by": "the pope"})
        (entry,) = (await client.ok("GET", PROOF))["entries"]
        assert entry["by"].startswith("server:")


async def test_a_yes_told_twice_is_answered_alike_and_written_down_once(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        said = GIVEN | {"at": ago(3_600)}
        assert await client.ok("PUT", SMS, said) == await client.ok("PUT", SMS, said)
        assert len((await client.ok("GET", PROOF))["entries"]) == 1


async def test_an_old_yes_does_not_undo_a_later_no(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", SMS, GIVEN)
        await client.ok("DELETE", SMS)
        status, problem, _ = await client.call("PUT", SMS, GIVEN | {"at": ago(86_400)})
        assert (status, problem["type"]) == (409, "urn:geoengine:problem:outdated")
        assert not (await client.ok("GET", PROOF))["consents"]["sms"]["granted"]
        assert (await client.ok("PUT", SMS, GIVEN))["granted"]


async def test_a_yes_of_years_ago_has_run_out(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        status, problem, _ = await client.call("PUT", SMS, GIVEN | {"at": ago(761 * 86_400)})
        assert (status, problem["type"]) == (409, "urn:geoengine:problem:outdated")
        assert (await client.ok("PUT", SMS, GIVEN | {"at": ago(759 * 86_400)}))["granted"]


async def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    bad: list[Any] = [
        {"at": ago(-86_400)},
        {"at": "yesterday"},
        {"text": TEXT, "text_hash": "00" * 32},
        {"text_hash": "abc"},
        {"evidence": {"screenshot": "x" * 5_000}},
        {"locale": "12345"},
    ]
    async with served(tmp_path) as client:
        for body in bad:
            status, problem, _ = await client.call("PUT", SMS, body)
            assert (status, problem["type"]) == (400, "urn:geoengine:problem:malformed"), body
        assert (await client.call("GET", PROOF))[0] == 404


async def test_a_proof_is_checked_offline_by_the_command(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", SMS, GIVEN)
        await client.ok("DELETE", SMS)
        proof = await client.ok("GET", PROOF)
    good, forged = tmp_path / "good.json", tmp_path / "forged.json"
    good.write_text(json.dumps(proof), "utf-8")
    proof["entries"][0]["source"] = "app:checkout"
    forged.write_text(json.dumps(proof), "utf-8")
    run = CliRunner().invoke(main, ["proof", str(good), "--head", proof["head"]])
    assert run.exit_code == 0, run.output
    assert "2 entries hold" in run.output
    run = CliRunner().invoke(main, ["proof", str(forged)])
    assert run.exit_code == 1
    assert "entry 0 says another source" in run.output
    run = CliRunner().invoke(main, ["proof", str(good), "--head", "0" * 64])
    assert run.exit_code == 1


async def test_a_consent_runs_out_while_the_service_runs(tmp_path: Path) -> None:
    short = CATALOGUE.replace("assumed", 'assumed, expires: "2s", notice: "1s"')
    async with served(tmp_path, short, tick_s=0.05) as client:
        await client.ok("PUT", SMS, GIVEN)

        async def ended() -> bool:
            return not (await client.ok("GET", PROOF))["consents"]["sms"]["granted"]

        await until(ended)
        entries = (await client.ok("GET", PROOF))["entries"]
        assert [e["what"] for e in entries] == ["granted", "expired"]


async def test_of_an_erased_person_the_proof_is_left_and_nothing_else(tmp_path: Path) -> None:
    person = "/v1/people/canary-ann"
    async with served(tmp_path) as client:
        facts = {"phone": "+33698765432", "email": "canary@example.org", "loyalty": "canary-77"}
        await client.ok("PUT", person, facts)
        await client.ok("PUT", person + "/consents/sms", GIVEN)
        await client.ok("PUT", "/v1/devices/canary-phone", {"person_id": "canary-ann"})
        await client.ok("POST", "/v1/pings", walk_in("canary-phone"))
        receipt = await client.ok("DELETE", person)
        assert receipt["erased"]
        proof = await client.ok("GET", person + "/consents")
        assert proof["erased"]
        assert [e["what"] for e in proof["entries"]] == ["granted", "erased"]
        assert proof["head"] == receipt["proof_head"]
        assert (await client.call("GET", person))[0] == 404
        again = await client.ok("DELETE", person)
        assert (again["erased"], again["proof"]) == (False, "")
    raw = on_disk(tmp_path)
    for canary in ("canary", "33698765432"):
        assert canary not in raw, canary


async def test_who_comes_back_and_is_erased_again_has_one_proof_of_both(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for _ in range(2):
            await client.ok("PUT", SMS, GIVEN)
            await client.ok("DELETE", "/v1/people/ann")
        proof = await client.ok("GET", PROOF)
        kinds = [e["what"] for e in proof["entries"]]
        assert kinds == ["granted", "erased", "carried", "carried"]
        assert proof["broken"] == ""


async def test_age_pause_and_cadence_are_told_and_shown_and_no_day_of_birth_is_kept(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        year = int(ago(0)[:4])
        person = "/v1/people/kim"
        told = await client.ok("PUT", person, {"birth_date": f"{year - 10}-05-06"})
        assert told["minor"]
        assert f"{year - 10}-05-06" not in json.dumps(told)
        assert not (await client.ok("PUT", person, {"birth_date": "2004-02-29"}))["minor"]
        assert (await client.ok("PUT", person, {"minor": True}))["minor"]
        pause = {"paused_until": ago(-86_400), "cadence": {"max": 2, "per": "week"}}
        told = await client.ok("PUT", person, pause)
        assert told["paused_until"] == pause["paused_until"]
        assert told["caps"] == [{"max": 2, "per": "week"}]
        assert (await client.ok("PUT", person, {"paused_until": None}))["paused_until"] is None
        for bad in (
            {"birth_date": "2020-13-01"},
            {"birth_date": "2999-01-01"},  # not born yet: a slip of who typed it
            {"cadence": {"max": 1, "per": "day"}, "caps": []},
        ):
            assert (await client.call("PUT", person, bad))[0] == 400


async def test_a_minor_is_told_nothing_and_the_reason_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/kim", {"minor": True})
        await client.ok("POST", "/v1/pings", walk_in("kim"))
        (decision,) = (await client.ok("GET", "/v1/people/kim/decisions"))["decisions"]
        assert (decision["outcome"], decision["reason"]) == ("suppressed", "minor")
