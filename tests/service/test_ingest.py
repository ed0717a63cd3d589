"""Pings and sightings, from the body to the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.errors import StateUnavailable
from geoengine.core.quiet import IS_COMPILED
from geoengine.state.base import Commit
from tests.service.serving import (
    AWAY,
    CATALOGUE,
    RIVOLI,
    UUID,
    Client,
    now_s,
    ping,
    served,
    slow_down,
    types,
    until,
    walk_in,
)


async def test_walking_in_enters_and_fires_and_the_answer_says_so(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert (told["accepted"], told["rejected"]) == (3, [])
        assert types(told) == ["zone.entered", "trigger.fired"]
        entered, fired = told["events"]
        assert entered["specversion"] == "1.0"
        assert entered["data"]["store_id"] == "rivoli"
        assert entered["data"]["initial"] is False
        assert fired["data"]["campaign_id"] == "hello"
        assert fired["data"]["lever"] == "log"
        decisions = await client.ok("GET", "/v1/people/phone/decisions")
        assert [row["outcome"] for row in decisions["decisions"]] == ["fired"]


async def test_one_object_an_array_and_lines_are_the_same(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        answers = []
        for name, join in (("array", None), ("lines", b"\n")):
            rows = walk_in(name)
            body = b"\n".join(json.dumps(row).encode() for row in rows) if join else rows
            answers.append(types(await client.ok("POST", "/v1/pings", body)))
        one_by_one = []
        for row in walk_in("single"):
            one_by_one += types(await client.ok("POST", "/v1/pings", row))
        assert answers == [["zone.entered", "trigger.fired"]] * 2
        assert one_by_one == answers[0]


async def test_an_answer_holds_the_events_of_its_own_post_only(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        posts = [walk_in(f"phone-{ix}") for ix in range(30)]
        answers = await asyncio.gather(*(client.ok("POST", "/v1/pings", post) for post in posts))
        for ix, told in enumerate(answers):
            assert {event["data"]["device_id"] for event in told["events"]} == {f"phone-{ix}"}


async def test_posting_the_same_walk_again_tells_of_nothing_new(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        walk = walk_in("phone")
        await client.ok("POST", "/v1/pings", walk)
        assert types(await client.ok("POST", "/v1/pings", walk)) == []
        assert types(await client.ok("POST", "/v1/pings", walk[::-1])) == []


async def test_without_consent_to_be_located_fixes_are_acknowledged_and_dropped(
    tmp_path: Path,
    door: str,
) -> None:
    required = CATALOGUE.replace("location: assumed", "location: required")
    async with served(tmp_path, required, door=door) as client:
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert (told["accepted"], told["events"]) == (3, [])
        page = (await client.call("GET", "/metrics"))[1].decode()
        assert 'geoengine_fixes_total{outcome="no_consent"} 3.0' in page
        granted = {"source": "test", "text_version": "1"}
        await client.ok("PUT", "/v1/people/phone/consents/location", granted)
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert types(told) == ["zone.entered", "trigger.fired"]


async def test_beacons_heard_by_a_phone_let_it_in_at_the_door(tmp_path: Path, door: str) -> None:
    heard = [
        {
            "device_id": "phone",
            "uuid": UUID.upper(),
            "major": 1,
            "minor": 1,
            "rssi_dbm": -60,
            "seen_time": now_s() - 5 + ix,
        }
        for ix in range(4)
    ]
    async with served(tmp_path, door=door) as client:
        told = await client.ok("POST", "/v1/sightings", heard)
        assert told["accepted"] == 4
        assert "beacon.entered" in types(told)


async def test_a_gateway_hears_the_tag_that_somebody_carries(tmp_path: Path, door: str) -> None:
    tag = "0000AAAA-0000-0000-0000-00000000BBBB"
    heard = [
        {
            "gateway_id": "gw-rivoli",
            "uuid": tag,
            "major": 7,
            "minor": 9,
            "rssi_dbm": -60,
            "seen_time": now_s() - 5 + ix,
        }
        for ix in range(4)
    ]
    async with served(tmp_path, door=door) as client:
        await client.ok("PUT", "/v1/people/ann", {"beacon": f"{tag}:7:9"})
        told = await client.ok("POST", "/v1/sightings", heard)
        entered = [event for event in told["events"] if event["type"].endswith("beacon.entered")]
        assert [event["data"]["person_id"] for event in entered] == ["ann"]
        assert entered[0]["data"]["store_id"] == "rivoli"


async def test_a_state_that_cannot_write_answers_503_until_it_can(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        state = client.service.context.state
        commit = state.commit

        async def full(_commit: object) -> None:
            raise StateUnavailable("disk full")

        state.commit = full  # type: ignore[method-assign]
        status, told, headers = await client.call("POST", "/v1/pings", walk_in("phone"))
        assert (status, told["type"]) == (503, "urn:geoengine:problem:state_unavailable")
        assert int(headers["Retry-After"]) >= 1
        assert (await client.call("GET", "/readyz"))[0] == 503
        state.commit = commit  # type: ignore[method-assign]
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert types(told) == ["zone.entered", "trigger.fired"]
        assert (await client.call("GET", "/readyz"))[0] == 200


@contextlib.asynccontextmanager
async def one_batch(client: Client) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Ann about to walk in, and somebody far away, both waiting for the same batch: their posts."""
    await client.ok("POST", "/v1/pings", [ping("idle", AWAY, 60), ping("ann", AWAY, 240)])
    gate = await slow_down(client)
    posts = ([ping("ann", RIVOLI, 20), ping("ann", RIVOLI, 10)], ping("idle", AWAY, 1))
    posting = [asyncio.create_task(client.call("POST", "/v1/pings", post)) for post in posts]

    async def are_waiting() -> bool:
        return client.service.context.intake.ping_count == 3

    try:
        await until(are_waiting)
        yield posting
    finally:
        gate.set()


async def pings_counted(client: Client) -> int:
    page = (await client.ok("GET", "/metrics")).decode()
    return round(float(re.search(r"^geoengine_pings_total (\S+)", page, re.MULTILINE)[1]))  # type: ignore[index]


@pytest.mark.skipif(not IS_COMPILED, reason="without the compiled pass all wait for the commit")
async def test_who_changed_nothing_does_not_wait_for_the_commit_of_others(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        state, disk = client.service.context.state, asyncio.Event()
        commit = state.commit

        async def slow(what: Commit) -> None:
            await disk.wait()
            await commit(what)

        async with one_batch(client) as (ann, idle):
            state.commit = slow  # type: ignore[method-assign]
        try:
            async with asyncio.timeout(5):
                status, told, _ = await idle
            assert (status, told["accepted"]) == (200, 1)
            assert not ann.done()
        finally:
            disk.set()
        assert types((await ann)[1]) == ["zone.entered", "trigger.fired"]
        assert await pings_counted(client) == 5


@pytest.mark.skipif(not IS_COMPILED, reason="without the compiled pass all share the commit's end")
async def test_what_changed_nothing_was_taken_in_whatever_became_of_the_commit(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        state = client.service.context.state

        async def full(_commit: object) -> None:
            raise StateUnavailable("disk full")

        async with one_batch(client) as (ann, idle):
            state.commit = full  # type: ignore[method-assign]
        assert [(await task)[0] for task in (idle, ann)] == [200, 503]
        assert await pings_counted(client) == 3


async def test_a_fault_of_ours_refuses_the_post_that_hits_it_and_serves_the_others(
    tmp_path: Path,
    door: str,
) -> None:
    async with served(tmp_path, door=door) as client:
        state = client.service.context.state
        known = state.known

        async def faulty(fixes: object) -> object:
            if "poison" in fixes.device_ids:  # type: ignore[attr-defined]
                raise AssertionError("a bug")
            return await known(fixes)  # type: ignore[arg-type]

        state.known = faulty  # type: ignore[method-assign, assignment]
        posts = [ping(name, AWAY) for name in ("a", "poison", "b", "c")]
        answers = await asyncio.gather(*(client.call("POST", "/v1/pings", post) for post in posts))
        assert [status for status, _, _ in answers] == [200, 500, 200, 200]
        assert "a bug" not in str(answers[1][1])


async def test_a_dwell_comes_by_itself_when_nothing_more_is_posted(
    tmp_path: Path, door: str
) -> None:
    quick = CATALOGUE.replace("engine:\n", "engine:\n  presence: {dwell_s: 11, fresh_s: 300}\n")
    async with served(tmp_path, quick, tick_s=0.05, door=door) as client:
        await client.ok("POST", "/v1/pings", walk_in("phone"))

        async def dwelled() -> bool:
            loaded = await client.service.context.state.load(["phone"])
            return any(stay.is_dwelled for stay in loaded["phone"].presences.values())

        assert await until(dwelled)


async def test_people_inside_two_zones_at_once_are_in_both(tmp_path: Path, door: str) -> None:
    both = CATALOGUE.replace("  - id: bastille\n", "  - id: rivoli2\n    name: Next\n"
        "    location: {lat: 48.8584, lon: 2.3471}\n    setting: city\n"
        "    reach: {radius_m: 400}\n  - id: bastille\n", 1)  # fmt: skip
    async with served(tmp_path, both, door=door) as client:
        told = await client.ok("POST", "/v1/pings", walk_in("phone", RIVOLI))
        stores = {e["data"]["store_id"] for e in told["events"] if e["type"].endswith("entered")}
        assert stores == {"rivoli", "rivoli2"}


async def test_a_scanned_code_is_proof_of_its_place(tmp_path: Path) -> None:
    code = "      - {id: till-code, kind: qr, code: 'https://rivoli.example/c/7', place: till}\n"
    beacons = "    beacons:\n"
    assert beacons in CATALOGUE
    catalogue = CATALOGUE.replace(beacons, beacons + code, 1)
    async with served(tmp_path, catalogue) as client:
        scan = {"kind": "qr", "code": "https://rivoli.example/c/7", "device_id": "ann"}
        told = await client.ok("POST", "/v1/sightings", scan | {"seen_time": now_s()})
        assert told["accepted"] == 1
        assert "geoengine.beacon.entered" in [event["type"] for event in told["events"]]
        wrong = scan | {"code": "another", "seen_time": now_s()}
        assert (await client.ok("POST", "/v1/sightings", wrong))["events"] == []
