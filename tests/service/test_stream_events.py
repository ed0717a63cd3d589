"""The stream: what it tells by itself, and after a drop."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.service.serving import (
    AWAY,
    CATALOGUE,
    RIVOLI,
    ping,
    served,
    slow_down,
    until,
    walk_in,
)
from tests.service.streams import QUICK, asked, closed, heard, stream

# --- events --------------------------------------------------------------------------------------


async def test_a_dwell_comes_by_itself_to_who_spoke_for_the_device(tmp_path: Path) -> None:
    async with (
        served(tmp_path, QUICK, tick_s=0.05) as client,
        stream(client) as open_,
        stream(client) as other,
    ):
        await asked(other, ping("somebody", AWAY))
        told = await asked(open_, walk_in("phone"))
        dwelled = await heard(open_)
        assert dwelled["event"]["type"] == "geoengine.zone.dwelled"
        assert dwelled["event"]["data"]["device_id"] == "phone"
        assert dwelled["seq"] > told["seq"]
        # The other was told of nothing meanwhile: the next it hears is its own.
        assert (await asked(other, ping("somebody", AWAY)))["ack"] == 2


async def test_of_more_names_than_are_followed_it_is_told_once(tmp_path: Path) -> None:
    async with (
        served(tmp_path, QUICK, tick_s=0.05, stream_follows=2) as client,
        stream(client) as open_,
    ):
        rows = [*walk_in("a"), *walk_in("b"), *walk_in("c")]
        await open_.send_json(rows)
        told = [await heard(open_) for _ in range(4)]
        assert [one["notice"] for one in told if "notice" in one] == ["follow_limit"]
        dwelled = {one["event"]["data"]["device_id"] for one in told if "event" in one}
        assert dwelled == {"a", "b"}
        assert (await asked(open_, ping("d", AWAY)))["ack"] == 2


async def test_a_server_hears_everything_or_the_types_it_names(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as client,
        stream(client, "?events=all", "server") as all_,
        stream(client, "?events=all&types=zone.entered,geoengine.zone.exited", "server") as some,
    ):
        await client.ok("POST", "/v1/pings", walk_in("phone"))
        found = [(await heard(all_))["event"]["type"] for _ in range(4)]
        assert found == [
            f"geoengine.{name}"
            for name in ("zone.entered", "trigger.fired", "trigger.sent", "trigger.delivered")
        ]
        assert (await heard(some))["event"]["type"] == "geoengine.zone.entered"
        await client.ok("POST", "/v1/pings", walk_in("other"))
        assert (await heard(some))["event"]["data"]["device_id"] == "other"


async def test_a_change_of_consent_is_told_to_who_hears_everything(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client, "?events=all", "server") as open_:
        await client.ok("PUT", "/v1/people/ann/consents/push", {"source": "test"})
        told = (await heard(open_))["event"]
        assert told["type"] == "geoengine.consent.changed"
        assert told["data"]["person_id"] == "ann"


# --- dropped and back ----------------------------------------------------------------------------


async def test_what_happened_while_it_was_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with served(tmp_path, QUICK, tick_s=0.05) as client:
        async with stream(client) as open_:
            place = (await asked(open_, walk_in("phone")))["resume"]

        async def dwelled() -> bool:
            loaded = await client.service.context.state.load(["phone"])
            return any(stay.is_dwelled for stay in loaded["phone"].presences.values())

        await until(dwelled)
        async with stream(client, f"?resume={place}") as open_:
            told = await heard(open_)
            assert told["event"]["type"] == "geoengine.zone.dwelled"
            assert (await asked(open_, ping("phone", RIVOLI)))["ack"] == 1
        # From the place of that event on there is nothing more, and no gap.
        async with stream(client, f"?resume={told['resume']}") as open_:
            assert (await asked(open_, ping("phone", RIVOLI)))["ack"] == 1


async def test_events_of_an_acknowledgement_that_was_lost_are_told_after_the_drop(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        async with stream(client) as open_:
            place = (await asked(open_, ping("phone", AWAY, 240)))["resume"]
            gate = await slow_down(client)
            walk = walk_in("phone")[1:]
            await open_.send_json(walk)

            async def has_come() -> bool:
                return client.service.context.intake.ping_count == 2

            await until(has_come)
        gate.set()  # nobody is there to be told

        async def is_committed() -> bool:
            return client.service.context.hub.seq >= 2

        await until(is_committed)
        async with stream(client, f"?resume={place}") as open_:
            found = [(await heard(open_))["event"]["type"] for _ in range(2)]
            assert found == ["geoengine.zone.entered", "geoengine.trigger.fired"]
            told = await asked(open_, {"id": "again", "pings": walk})
            assert (told["ack"], told["accepted"], told["events"]) == ("again", 2, [])


async def test_a_message_under_way_holds_the_place_back(tmp_path: Path) -> None:
    """Its events have numbers before it is acknowledged, and would be lost with the connection."""
    async with served(tmp_path) as client, stream(client, "?events=all", "server") as open_:
        gate = await slow_down(client)
        await open_.send_json({"id": "slow", "pings": walk_in("slow")})

        async def has_come() -> bool:
            return client.service.context.intake.ping_count == 3

        await until(has_come)
        gate.set()
        told = [await heard(open_) for _ in range(3)]
        assert [one["seq"] for one in told[:2]] == [0, 0]
        assert (told[2]["ack"], told[2]["seq"]) == ("slow", 2)


@pytest.mark.parametrize("place", ["AAAAAAAAAAAAAAAA.0", "7", "nonsense"])
async def test_a_place_that_is_not_known_here_is_a_gap(tmp_path: Path, place: str) -> None:
    async with served(tmp_path) as client, stream(client, f"?resume={place}") as open_:
        assert await heard(open_) == {"gap": True}
        assert (await asked(open_, ping("phone", AWAY)))["ack"] == 1


async def test_a_place_that_is_too_old_is_a_gap_and_then_what_is_still_known(
    tmp_path: Path,
) -> None:
    stores, _, rest = CATALOGUE.partition("campaigns:")  # who says nothing tells one event a visit
    quiet = stores + "gateways:" + rest.partition("gateways:")[2]
    async with served(tmp_path, quiet, stream_ring=1) as client:
        async with stream(client, "?events=all&types=zone.entered", "server") as open_:
            place = (await asked(open_, ping("nobody", AWAY)))["resume"]
        for name in ("a", "b"):
            await client.ok("POST", "/v1/pings", walk_in(name))
        query = f"?events=all&resume={place}&types=trigger.fired,zone.entered"
        async with stream(client, query, "server") as open_:
            assert await heard(open_) == {"gap": True}
            assert (await heard(open_))["event"]["data"]["device_id"] == "b"


async def test_a_place_is_its_own_callers(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        async with stream(client, key="server") as open_:
            place = (await asked(open_, walk_in("phone")))["resume"].partition(".")[0] + ".0"
        async with stream(client, f"?resume={place}") as open_:
            assert await heard(open_) == {"gap": True}
            assert (await asked(open_, ping("x", AWAY)))["ack"] == 1
        async with stream(client, f"?resume={place}", "server") as open_:
            assert (await heard(open_))["event"]["type"] == "geoengine.zone.entered"


async def test_who_comes_back_before_the_old_connection_is_known_to_be_dead_replaces_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, QUICK, tick_s=0.05) as client, stream(client) as old:
        place = (await asked(old, walk_in("phone")))["resume"]
        async with stream(client, f"?resume={place}") as new:
            assert await closed(old) in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
            assert (await heard(new))["event"]["type"] == "geoengine.zone.dwelled"
            assert len(client.service.context.hub) == 1


async def test_of_somebody_who_was_erased_nothing_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        async with stream(client, "?events=all", "server") as open_:
            place = (await asked(open_, ping("nobody", AWAY)))["resume"]
        async with stream(client) as gone, stream(client) as here:
            for open_ in (gone, here):
                await asked(open_, walk_in("phone", person_id="ann"))
            await gone.close()
            await client.ok("POST", "/v1/pings", walk_in("other"))
            await client.ok("DELETE", "/v1/people/ann")
            hub = client.service.context.hub
            sessions = (*hub._here.values(), *hub._away.values())
            assert {name for session in sessions for name in session.names} == {"nobody"}
            assert hub._followers == {}
        query = f"?events=all&resume={place}&types=zone.entered"
        async with stream(client, query, "server") as open_:
            assert (await heard(open_))["event"]["data"]["device_id"] == "other"


async def test_a_long_absence_is_made_up_for_at_the_pace_of_the_reader(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        async with stream(client, "?events=all", "server") as open_:
            place = (await asked(open_, ping("nobody", AWAY)))["resume"]
        count = 600
        for at in range(0, count, 100):
            rows = [row for ix in range(at, at + 100) for row in walk_in(f"p{ix}")]
            await client.ok("POST", "/v1/pings", rows)
        query = f"?events=all&resume={place}&types=zone.entered,trigger.fired"
        async with stream(client, query, "server", max_msg_size=0) as open_:
            seqs = [(await heard(open_))["seq"] for _ in range(2 * count)]
            assert seqs == sorted(set(seqs))
