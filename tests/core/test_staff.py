"""What a shop's own devices are told of somebody who comes for an order."""

from __future__ import annotations

import json

import pytest

from geoengine.core.model import EngineSpec, OrdersSpec, StaffSpec
from geoengine.core.record import Order, Send
from geoengine.core.telling.staff import GRACE_MS, Device
from geoengine.core.units import DAY_MS, SECOND_MS
from geoengine.service.sending.rosters import register
from tests.core.world import NOON_MS, Walk, World, a_store

READY = Order("shop", NOON_MS - 1, NOON_MS + 30 * DAY_MS, name="Ann B.")
COUNTER, BACK_ROOM = Device("android", "c:1", "fr-FR"), Device("ios", "0f" * 32, "en")


async def shop(devices: dict[str, Device], order: Order = READY, **engine: object) -> Walk:
    """A walk near a shop of five minutes with these devices, of Ann, for whom an order is ready."""
    spec = EngineSpec(**engine)  # type: ignore[arg-type]
    walk = Walk(World([a_store()], minutes=5, engine=spec).book())
    await walk.agree("ann", orders={"A17": order})
    for name, device in devices.items():
        await register(walk.state, "shop", name, device, NOON_MS)
    return walk


async def told(walk: Walk) -> list[Send]:
    """What is on its way to staff, by device."""
    rows = [row.send for row in await walk.state.sends() if row.send.lever == "staff"]
    return sorted(rows, key=lambda send: send.event["data"]["device_id"])


async def test_each_device_has_a_row_of_its_own_that_ends_soon_after_the_arrival():
    walk = await shop({"counter": COUNTER, "back room": BACK_ROOM})
    await walk.post((0, 2000), (60, 50))
    back_room, counter = await told(walk)
    assert counter.address == "android:c:1" and back_room.address == "ios:" + "0f" * 32
    assert counter.send_id != back_room.send_id
    arrival_ms = NOON_MS + (60 + 150) * SECOND_MS  # 50 m of 100 that are five minutes wide
    assert counter.expires_ms == pytest.approx(arrival_ms + GRACE_MS, abs=2 * SECOND_MS)
    assert counter.due_ms == NOON_MS + 60 * SECOND_MS


async def test_a_device_shows_the_order_and_when_in_its_own_language_and_the_shops_time():
    walk = await shop({"counter": COUNTER, "back room": BACK_ROOM})
    await walk.post((0, 2000), (60, 50))
    back_room, counter = [send.event["data"]["message"] for send in await told(walk)]
    assert counter == {
        "locale": "fr",
        "title": "Commande A17 Ann B.",
        "body": "On vient la chercher dans 3 min environ, vers 14:03.",
    }
    assert back_room["title"] == "Order A17 Ann B."
    assert back_room["body"] == "Somebody comes for it in about 3 min, at about 14:03."


async def test_nothing_is_told_of_the_owner_but_what_the_order_says():
    nameless = Order("shop", NOON_MS - 1, NOON_MS + DAY_MS)
    walk = await shop({"counter": COUNTER}, nameless)
    await walk.agree("ann", addresses={"sms": "+33612345678"}, attributes={"name": "Ann B."})
    await walk.post((0, 2000), (60, 50))
    (counter,) = await told(walk)
    said = counter.event["data"]
    assert said.keys() == {"order_id", "store_id", "arrival", "device_id", "message"}
    assert said["message"]["title"] == "Commande A17"
    assert "ann" not in json.dumps(counter.event).lower().replace("commande", "")


async def test_the_catalogue_says_it_in_its_own_words():
    texts = StaffSpec(title={}, message={"fr": "{{{order}}} {minutes} {arrival} {store} {name}"})
    walk = await shop({"counter": COUNTER}, orders=OrdersSpec(staff=texts))
    await walk.post((0, 2000), (60, 50))
    (counter,) = await told(walk)
    said = {"locale": "fr", "title": "", "body": "{A17} 3 14:03 Shop Ann B."}
    assert counter.event["data"]["message"] == said


async def test_staff_is_told_once_a_visit_and_again_in_the_next_under_another_id():
    walk = await shop({"counter": COUNTER})
    await walk.post((0, 2000), (60, 50), (75, 45), (90, 5))
    await walk.post((2_000, 3000), (20_000, 3000), (20_060, 0))
    first, second = sorted(await told(walk), key=lambda send: send.created_ms)
    assert first.send_id != second.send_id
    assert second.created_ms - first.created_ms == 20_000 * SECOND_MS


async def test_who_is_at_the_door_is_told_of_for_a_while_yet():
    walk = await shop({"counter": COUNTER})
    await walk.post((0, 2000), (60, 0))
    (counter,) = await told(walk)
    assert counter.expires_ms - counter.created_ms == GRACE_MS
    assert "1 min" in counter.event["data"]["message"]["body"]


async def test_news_that_took_a_while_tells_the_minutes_that_are_left():
    walk = await shop({"counter": COUNTER})
    await walk.post((0, 2000), (60, 50), lag_s=80)
    (counter,) = await told(walk)
    assert counter.created_ms == NOON_MS + 140 * SECOND_MS
    assert "2 min" in counter.event["data"]["message"]["body"]  # 150 s from the fix, 70 from now


async def test_news_that_came_after_the_arrival_is_that_they_are_there():
    walk = await shop({"counter": COUNTER})
    await walk.post((0, 2000), (60, 50), lag_s=200)
    (counter,) = await told(walk)
    assert counter.expires_ms - counter.created_ms == GRACE_MS
    assert counter.event["data"]["message"]["body"].endswith("dans 1 min environ, vers 14:04.")


async def test_a_shop_without_devices_and_another_shops_devices_are_told_nothing():
    walk = await shop({})
    await register(walk.state, "other", "counter", COUNTER, NOON_MS)
    await walk.post((0, 2000), (60, 50))
    assert walk.told("order.approaching") == [("order.approaching", 60.0)]
    assert await told(walk) == []
