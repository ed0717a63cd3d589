"""Whose a device is, also where names of people are names of devices; on each back end."""

from __future__ import annotations

from geoengine.core.record import Record
from geoengine.state import amending
from tests.core.world import World as Shops
from tests.state.backends import World
from tests.state.samples import commit_of, decision, send, write

BOOK = Shops().book()


async def test_a_device_can_be_told_to_be_its_own_again(busy_world: World) -> None:
    state = busy_world.state
    await amending.identify(state, BOOK, "phone", "ann", 0)
    await amending.identify(state, BOOK, "phone", "phone", 0)
    assert await state.owners(["phone"]) == ["phone"]
    assert set(await state.load(["phone", "ann"])) == {"phone", "ann"}


async def test_a_person_who_is_somebodys_device_stands_for_its_owner(busy_world: World) -> None:
    state = busy_world.state
    await amending.identify(state, BOOK, "phone", "ann", 0)
    await amending.identify(state, BOOK, "tablet", "phone", 0)
    assert await state.owners(["tablet"]) == ["ann"]


async def test_what_stood_for_a_person_stands_for_whom_they_turn_out_to_be(
    busy_world: World,
) -> None:
    state = busy_world.state
    await amending.identify(state, BOOK, "phone", "ann", 0)
    await amending.identify(state, BOOK, "ann", "bob", 0)
    assert await state.owners(["phone", "ann"]) == ["bob", "bob"]
    assert set(await state.load(["ann", "bob"])) == {"bob"}
    record = (await state.load(["bob"]))["bob"]
    assert {"phone", "ann"} <= record.devices.keys()
    await write(state, Record("somebody else"))


async def test_what_a_device_left_while_it_was_nobodys_is_told_and_erased_with_its_owner(
    busy_world: World,
) -> None:
    state = busy_world.state
    said = (decision("phone", 1), decision("other", 1))
    await write(state, Record("phone"), decisions=said, sends=(send("s1", "phone"),))
    await amending.identify(state, BOOK, "phone", "ann", 2)
    await amending.identify(state, BOOK, "other", "bob", 2)
    await state.commit(commit_of(decisions=(decision("ann", 3),)))
    assert [one.at_ms for one in await amending.decisions(state, "ann", 10)] == [3, 1]
    assert [one.at_ms for one in await amending.decisions(state, "ann", 1)] == [3]
    assert await amending.erase(state, "ann", 4)
    assert await state.decisions("phone") == [] == await state.sends()
    assert len(await amending.decisions(state, "bob", 10)) == 1
    assert not await amending.erase(state, "ann", 5)
