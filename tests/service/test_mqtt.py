"""Messages of a broker: a real Mosquitto, real phones' words, a real service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.broker import Broker
from tests.service.brokered import (
    HEALED_S,
    TAG,
    come_in,
    counted,
    counts,
    folder,
    is_heard,
    listening,
    location,
    places,
    said,
    somebody,
    tag_heard,
)
from tests.service.process import SECRETS, process
from tests.service.serving import (
    CATALOGUE,
    RIVOLI,
    slow_down,
    until,
)


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    with Broker(directory=tmp_path / "broker") as running:
        yield running


async def test_a_phone_that_publishes_is_where_it_says(tmp_path: Path, broker: Broker) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as phone:
        await come_in(phone, "owntracks/jane/phone")
        await counts(client, "owntracks", "taken", 3)
        assert await places(client, "jane/phone") == ["rivoli"]


async def test_the_topic_says_who_it_is_whatever_the_body_says(
    tmp_path: Path, broker: Broker
) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as phone:
        await phone.publish(
            "owntracks/jane/phone", location(RIVOLI, topic="owntracks/bob/phone", tid="bo"), qos=1
        )
        await counts(client, "owntracks", "taken", 1)
        assert await places(client, "jane/phone") == ["rivoli"]
        assert await places(client, "bob/phone") == []


async def test_a_phone_is_told_which_regions_to_watch_once(tmp_path: Path, broker: Broker) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as phone:
        await phone.subscribe("owntracks/jane/phone/cmd", qos=1)
        for ago_s in (20, 10):
            await phone.publish("owntracks/jane/phone", location(RIVOLI, ago_s), qos=1)
        async with asyncio.timeout(HEALED_S):
            told = json.loads((await anext(phone.messages)).payload)
        regions = {one["rid"] for one in told["waypoints"]["waypoints"]}
        assert (told["action"], regions) == ("setWaypoints", {"rivoli", "bastille"})
        await counts(client, "owntracks", "taken", 2)
        await counts(client, "other", "our_own", 1)
        assert len(phone.messages) == 0


async def test_a_listed_gateway_hears_somebodys_tag_and_no_other_box_does(
    tmp_path: Path, broker: Broker
) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as boxes:
        await client.ok("PUT", "/v1/people/ann", {"beacon": f"{TAG}:1:7"})
        for mac in ("ac233fc03642", "ac233fc03641"):
            assert await places(client, "ann") == []
            for ago_s in (3, 2, 1):
                await boxes.publish(f"/gw/{mac}/status", tag_heard(ago_s), qos=1)
        await counts(client, "other", "unlisted_gateway", 3)
        await counts(client, "minew", "taken", 3)
        assert "rivoli/entrance" in await places(client, "ann")


async def test_what_is_not_committed_is_not_acknowledged(tmp_path: Path, broker: Broker) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as phone:
        gate = await slow_down(client)
        await come_in(phone, "owntracks/jane/phone")
        (subscriber,) = client.service.subscribers
        first = subscriber._desk
        assert first is not None

        async def are_held() -> bool:
            desk = subscriber._desk
            return desk is not None and desk.lanes.held_count == 3

        await until(are_held)
        assert counted(client, "owntracks", "taken") == 0
        first.line.hang_up("to see what the broker still has")
        gate.set()
        await until(lambda: is_heard(client), HEALED_S)
        await counts(client, "owntracks", "taken", 1 + 3)  # what was in hand, and all of them again
        told = await client.ok("GET", "/v1/people/jane%2Fphone/decisions")
        assert [one["outcome"] for one in told["decisions"]] == ["fired"]


async def test_a_message_that_a_killed_service_had_comes_to_the_next(
    tmp_path: Path, broker: Broker
) -> None:
    environ = SECRETS | {"GEOENGINE_MQTT": broker.url(client_id="shop")}
    async with somebody(broker) as phone:
        async with process(tmp_path, environ) as running:
            await until(lambda: said(running, "mqtt_connected"), HEALED_S)
            running.child.send_signal(19)  # SIGSTOP: the broker's bytes reach it, and no further
            await come_in(phone, "owntracks/jane/phone")
            running.child.kill()
            await running.child.wait()
        url = broker.url(client_id="shop")
        state = f"local:{tmp_path / 'state.db'}"
        async with listening(tmp_path, url, catalogue=CATALOGUE, state=state) as client:
            await counts(client, "owntracks", "taken", 3)
            assert await places(client, "jane/phone") == ["rivoli"]


async def test_what_finds_no_room_waits_in_order_and_is_taken_later(
    tmp_path: Path, broker: Broker
) -> None:
    async with (
        listening(tmp_path, broker.url(), queue_pings=1) as client,
        somebody(broker) as phones,
    ):
        gate = await slow_down(client)
        await come_in(phones, "owntracks/ann/phone")
        await come_in(phones, "owntracks/bob/phone")

        async def is_refused() -> bool:
            page = (await client.call("GET", "/metrics"))[1].decode()
            return 'geoengine_problems_total{kind="queue_full"}' in page

        await until(is_refused)
        gate.set()
        await counts(client, "owntracks", "taken", 6)
        assert await places(client, "ann/phone") == await places(client, "bob/phone") == ["rivoli"]


async def test_nonsense_is_taken_and_nothing_comes_of_it(tmp_path: Path, broker: Broker) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as phone:
        for body in (b"", b"\xff", b"{", b"[[[]]]", b'{"_type":"location"}', b"null"):
            await phone.publish("owntracks/jane/phone", body, qos=1)
            await phone.publish("/gw/ac233fc03641/status", body, qos=1)
        await counts(client, "owntracks", "taken", 6)
        await counts(client, "minew", "taken", 6)
        assert await places(client, "jane/phone") == []


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_broker_that_sends_more_than_is_held_is_read_no_further_for_a_while(
    tmp_path: Path, broker: Broker, version: str
) -> None:
    url = broker.url(version=version)
    async with (
        listening(tmp_path, url, mqtt_in_flight=5, queue_bytes=1_000) as client,
        somebody(broker) as phones,
    ):
        gate = await slow_down(client)
        for number in range(40):
            place = location(RIVOLI, tag="x" * 200)
            await phones.publish(f"owntracks/jane/phone{number}", place, qos=1)
        (subscriber,) = client.service.subscribers
        desk = subscriber._desk
        assert desk is not None

        async def is_full() -> bool:
            return desk.lanes.held_count >= 4

        await until(is_full)
        assert desk.lanes.held_count <= 5
        assert desk.lanes.held_bytes < 2_000
        gate.set()
        await counts(client, "owntracks", "taken", 40)
        assert subscriber._desk is desk


async def test_two_services_share_what_comes(tmp_path: Path, broker: Broker) -> None:
    async with (
        listening(folder(tmp_path / "one"), broker.url()) as one,
        listening(folder(tmp_path / "two"), broker.url()) as two,
        somebody(broker) as phones,
    ):
        for number in range(40):
            await phones.publish(f"owntracks/jane/phone{number}", location(RIVOLI), qos=1)

        def taken() -> list[float]:
            return [counted(client, "owntracks", "taken") for client in (one, two)]

        async def are_all_taken() -> bool:
            return sum(taken()) >= 40

        await until(are_all_taken)
        assert sum(taken()) == 40
        assert min(taken()) > 0  # how evenly is the broker's to choose


async def test_a_retained_message_of_days_ago_changes_nothing(
    tmp_path: Path, broker: Broker
) -> None:
    async with somebody(broker) as phone:
        await phone.publish("owntracks/old/phone", location(RIVOLI, 3 * 86_400), qos=1, retain=True)
        await phone.publish("owntracks/new/phone", location(RIVOLI, 5), qos=1, retain=True)
    async with listening(tmp_path, broker.url(share="")) as client:
        await counts(client, "owntracks", "taken", 2)
        assert await places(client, "old/phone") == []
        assert (await client.call("GET", "/v1/people/old%2Fphone"))[0] == 404
        assert await places(client, "new/phone") == ["rivoli"]
