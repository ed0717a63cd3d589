"""What staff is told is committed with the visit that they are told of, whatever keeps it."""

from __future__ import annotations

import asyncio

from geoengine.core.record import Order
from geoengine.core.telling.staff import DEVICES_MAX, Device
from geoengine.core.units import DAY_MS
from geoengine.service.sending.rosters import register
from geoengine.state.staffing import devices_of
from tests.core.world import NOON_MS, Walk, a_store
from tests.core.world import World as Streets
from tests.state.backends import World

ORDERS = {"A17": Order("shop", NOON_MS - 1, NOON_MS + DAY_MS)}


async def rows(world: World) -> set[str]:
    """The ids of what is on its way to staff."""
    return {row.send.send_id for row in await world.state.sends() if row.send.lever == "staff"}


async def test_a_row_for_each_device_is_there_with_the_visit_and_after_a_restart(world: World):
    for name in ("counter", "office"):
        await register(world.state, "shop", name, Device("android", name), NOON_MS)
    walk = Walk(Streets([a_store()], minutes=5).book(), state=world.state, is_open=True)
    await walk.agree("ann", orders=ORDERS)
    await walk.post((0, 2000), (60, 50))
    told = await rows(world)
    assert len(told) == 2
    assert (await world.state.load(["ann"]))["ann"].orders["A17"].told_ms == NOON_MS + 60_000
    await world.restart()
    walk.state = world.state
    await walk.post((75, 45), (90, 40))
    assert await rows(world) == told


async def test_of_many_who_register_at_once_as_many_are_in_as_may_be(busy_world: World):
    state = busy_world.state
    names = [f"tablet {number}" for number in range(DEVICES_MAX + 10)]
    are_in = await asyncio.gather(
        *(register(state, "shop", name, Device("web", name), NOON_MS) for name in names)
    )
    assert sum(are_in) == DEVICES_MAX
    kept = {name for name, is_in in zip(names, are_in, strict=True) if is_in}
    assert set(await devices_of(state, "shop")) == kept
