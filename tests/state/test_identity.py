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
    await state.commit(commit_of(sends=(send("s2", "ann", 2_000),)))
    assert [row.send.send_id for row in await amending.sends(state, "ann", 10)] == ["s2", "s1"]
    assert [row.send.send_id for row in await amending.sends(state, "ann", 1)] == ["s2"]
    assert await amending.erase(state, "ann", 4)
    assert await amending.sends(state, "phone", 10) == []
    assert await state.decisions("phone") == [] == await state.sends()
    assert len(await amending.decisions(state, "bob", 10)) == 1
    assert not await amending.erase(state, "ann", 5)


async def test_a_device_that_changes_hands_takes_its_push_token_along(busy_world: World) -> None:
    state = busy_world.state
    await amending.identify(state, BOOK, "phone", "ann", 0)
    ann = (await state.load(["ann"]))["ann"]
    ann.set_push("phone", "ios", "tok", 5)
    ann.set_push("tablet", "ios", "other", 6)
    await write(state, ann)
    await amending.identify(state, BOOK, "phone", "bob", 1)
    records = await state.load(["ann", "bob"])
    assert records["ann"].push_tokens == {"tablet": ["ios", "other"]}
    assert records["bob"].push_tokens == {"phone": ["ios", "tok"]}
    assert (records["ann"].push_since_ms, records["bob"].push_since_ms) == (
        {"tablet": 6},
        {"phone": 5},
    )


async def test_who_may_not_join_people_joins_devices_to_them_only(busy_world: World) -> None:
    state = busy_world.state
    people = {
        "with a device": Record("", devices={"phone": 1}),
        "with a token": Record("", push_tokens={"phone": ["ios", "tok"]}),
        "with a number": Record("", addresses={"sms": "+33612345678"}),
        "with a card": Record("", identifiers={"loyalty": "L-1"}),
        "with a tag": Record("", beacons=["uuid:1:1"]),
    }
    for name, record in people.items():
        record.person_id = name
        await write(state, record)
        told = await amending.identify(state, BOOK, name, "mallory", 1, may_join=False)
        assert told.counts["not_a_device"] == 1, name
    assert await state.owners([*people]) == [*people]
    assert set(await state.load([*people, "mallory"])) == people.keys()
    nobodys = Record("phone", devices={"phone": 1}, push_tokens={"phone": ["ios", "tok"]})
    nobodys.addresses["wallet"] = "apple:serial"  # taken on the phone, before its owner signed in
    await write(state, nobodys)
    assert not (await amending.identify(state, BOOK, "phone", "ann", 1, may_join=False)).counts
    assert await state.owners(["phone"]) == ["ann"]
