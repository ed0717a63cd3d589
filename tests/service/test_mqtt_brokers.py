"""Brokers that go away, know their users, or are not who they say."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from geoengine.service.brokers.making import wanted
from geoengine.service.settings import Settings, SettingsError
from tests.servers.broker import Broker
from tests.servers.certificates import certificates
from tests.service.brokered import (
    HEALED_S,
    LISTED,
    USERS,
    brokers,
    come_in,
    counted,
    counts,
    is_heard,
    listening,
    location,
    places,
    said,
    somebody,
)
from tests.service.process import SECRETS, process
from tests.service.serving import (
    RIVOLI,
    served,
    until,
    written,
)


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    with Broker(directory=tmp_path / "broker") as running:
        yield running


async def test_a_broker_that_went_away_is_found_again(tmp_path: Path, broker: Broker) -> None:
    async with listening(tmp_path, broker.url()) as client:
        broker.stop()

        async def is_missed() -> bool:
            return not await is_heard(client)

        await until(is_missed)
        assert (await brokers(client))[0]["why_not"]
        assert (await client.call("GET", "/readyz"))[0] == 200  # the other doors are open
        broker.start()
        await until(lambda: is_heard(client), HEALED_S)
        async with somebody(broker) as phone:
            await come_in(phone, "owntracks/jane/phone")
        await counts(client, "owntracks", "taken", 3)


async def test_what_came_while_the_service_was_away_is_waiting_for_it(
    tmp_path: Path, broker: Broker
) -> None:
    url = broker.url(client_id="shop")
    async with listening(tmp_path, url):
        pass
    async with somebody(broker) as phone:
        await come_in(phone, "owntracks/jane/phone")
    broker.restart()  # what waits outlives it
    async with listening(tmp_path, url) as client:
        await counts(client, "owntracks", "taken", 3)
        assert await places(client, "jane/phone") == ["rivoli"]


async def test_a_wrong_password_is_told_and_never_logged(tmp_path: Path) -> None:
    with Broker(directory=tmp_path / "broker", users=USERS) as broker:
        url = broker.url().replace("a%20server%27s%20secret", "not%20at%20all")
        async with process(tmp_path, SECRETS | {"GEOENGINE_MQTT": url}) as running:
            await until(lambda: said(running, "mqtt_lost"), HEALED_S)
            assert "uthori" in running.said  # "Not authorized", as the broker puts it
            assert "not at all" not in running.said
            assert "not%20at%20all" not in running.said


async def test_a_phone_speaks_only_for_itself_where_the_broker_knows_its_users(
    tmp_path: Path,
) -> None:
    with Broker(directory=tmp_path / "broker", users=USERS) as broker:
        async with listening(tmp_path, broker.url()) as client, somebody(broker, "jane") as phone:
            await phone.subscribe("owntracks/jane/phone/cmd", qos=1)
            await come_in(phone, "owntracks/bob/phone")
            await come_in(phone, "owntracks/jane/phone")
            async with somebody(broker, "boxes") as boxes:
                await boxes.publish("/gw/ac233fc03641/status", b"[]", qos=1)
            await counts(client, "owntracks", "taken", 3)
            await counts(client, "minew", "taken", 1)
            async with asyncio.timeout(HEALED_S):
                assert b"setWaypoints" in (await anext(phone.messages)).payload
            assert await places(client, "jane/phone") == ["rivoli"]
            assert await places(client, "bob/phone") == []


async def test_a_broker_is_heard_over_tls_and_only_if_it_is_the_right_one(tmp_path: Path) -> None:
    ours, others = certificates(tmp_path / "ours"), certificates(tmp_path / "others")
    demand = {"require_certificate": "true"}
    with Broker(directory=tmp_path / "broker", certificates=ours, options=demand) as broker:
        shown = {"ssl_certfile": str(ours.certificate), "ssl_keyfile": str(ours.key)}
        async with listening(tmp_path, broker.url(**shown)):
            pass
        url = broker.url(**shown, ssl_ca_certs=str(others.authority))
        async with served(tmp_path, LISTED, mqtt=url) as client:

            async def why_not() -> str:
                return str((await brokers(client))[0].get("why_not", ""))

            async def is_refused() -> bool:
                return "CERTIFICATE_VERIFY_FAILED" in await why_not()

            await until(is_refused, HEALED_S)


async def test_a_broker_that_speaks_no_mqtt_5_is_heard_as_well(
    tmp_path: Path, broker: Broker
) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(1_024)
        if hello[8] == 5:  # the protocol's version, in a CONNECT of fewer than 128 bytes
            writer.write(b"\x20\x02\x00\x01")
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", broker.port)
        far_writer.write(hello)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4_096):
            writer.write(data)
        writer.close()

    old = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    port = old.sockets[0].getsockname()[1]
    async with listening(tmp_path, f"mqtt://127.0.0.1:{port}") as client, somebody(broker) as phone:
        await come_in(phone, "owntracks/jane/phone")
        await counts(client, "owntracks", "taken", 3)
    old.close()
    await old.wait_closed()


async def test_topics_may_begin_with_levels_of_their_own(tmp_path: Path, broker: Broker) -> None:
    url = broker.url(prefix="acme/paris")
    async with listening(tmp_path, url) as client, somebody(broker) as boxes:
        await boxes.publish("owntracks/jane/phone", location(RIVOLI), qos=1)
        await boxes.publish("acme/paris/gw/ac233fc03641/status", b"[]", qos=1)
        await come_in(boxes, "acme/paris/owntracks/jane/phone")
        await counts(client, "minew", "taken", 1)
        await counts(client, "owntracks", "taken", 3)


async def test_a_gateway_listed_while_the_service_runs_is_heard_on_its_topic(
    tmp_path: Path, broker: Broker
) -> None:
    async with listening(tmp_path, broker.url()) as client, somebody(broker) as boxes:
        again = LISTED.replace("shops/paris/box", "shops/lyon/box")
        written(tmp_path / "config", again)
        client.service.reloader.ask()
        (subscriber,) = client.service.subscribers

        async def is_in_force() -> bool:
            return any("lyon" in topic for topic in subscriber._filters)

        await until(is_in_force, HEALED_S)
        await boxes.publish("shops/paris/box", b"{}", qos=1)
        await boxes.publish("shops/lyon/box", b"{}", qos=1)
        await counts(client, "moko", "taken", 1)
        assert counted(client, "other", "unknown_topic") == 0


def test_without_the_library_the_flag_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    with pytest.raises(SettingsError, match=r"geoengine\[mqtt\]"):
        wanted(Settings(mqtt="mqtt://127.0.0.1"))
    assert wanted(Settings()) == []
