"""Stays: what is noted beside the last fix of somebody who only stays where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoengine.core.columns import LastFixes, Rests
from geoengine.core.errors import StateConflict
from geoengine.core.look.stays import Settled
from geoengine.core.record import Presence, Record
from geoengine.state.base import Commit, State
from geoengine.state.embedded.held.stays import StayTable
from geoengine.state.local import LocalState
from tests.state.backends import World
from tests.state.samples import change, commit_of, fixes, last, located, one, op, write

HOUR_MS = 3_600_000


def standing(person_id: str, seen_ms: int, *zone_prints: int) -> Record:
    presences = {
        f"z{zone_print}": Presence(True, zone_print, person_id, 1, seen_ms)
        for zone_print in zone_prints or (7,)
    }
    return located(person_id, presences=presences, devices={person_id: seen_ms}, lag_ms=3)


async def settle(state: State, *people: Record) -> None:
    """People with a record, and a last fix that it knows of."""
    for person in people:
        fix_ms = person.devices[person.person_id]
        await state.commit(commit_of(change(person), last=last(fix_ms, person.person_id)))


async def rest_of(state: State, fix_ms: int, *device_ids: str, lag_ms: int = 5) -> Commit:
    """The commit that notes a fix of each of these as changing nothing else."""
    known = await state.known(fixes(*device_ids))
    assert (known.stay_ix >= 0).all()
    rows = np.arange(len(device_ids))
    return Commit(
        op(),
        last=replace(
            LastFixes.up_to(list(device_ids), np.full(len(rows), fix_ms)), slot_ix=known.slot_ix
        ),
        rests=Rests(rows, np.full(len(rows), lag_ms), known.stays.turn[known.stay_ix]),
    )


async def test_a_stay_is_known_and_moves_with_the_last_fix(busy_world: World) -> None:
    state = busy_world.state
    await settle(state, standing("ann", 100, 7, 8))
    await state.commit(commit_of(last=last(50, "bob")))
    known = await state.known(fixes("bob", "ann"))
    assert known.stay_ix.tolist() == [-1, 0]
    assert sorted(known.stays.zone_prints[0].tolist()) == [0, 7, 8]
    await state.commit(await rest_of(state, 200, "ann"))
    record = await one(state, "ann")
    assert {p.seen_ms for p in record.presences.values()} == {200}
    assert (record.devices, record.lag_ms) == ({"ann": 200}, 5)


async def test_a_rest_decided_on_an_older_record_is_a_conflict(busy_world: World) -> None:
    state = busy_world.state
    await settle(state, standing("ann", 100))
    rest = await rest_of(state, 200, "ann")
    record = await one(state, "ann")
    record.attributes["vip"] = True
    await write(state, record)
    with pytest.raises(StateConflict):
        await state.commit(rest)
    assert (await one(state, "ann")).devices == {"ann": 100}
    await state.commit(await rest_of(state, 200, "ann"))
    assert (await one(state, "ann")).devices == {"ann": 200}


async def test_a_record_written_from_before_a_rest_does_not_undo_it(busy_world: World) -> None:
    state = busy_world.state
    await settle(state, standing("ann", 100))
    record = await one(state, "ann")
    await state.commit(await rest_of(state, 200, "ann"))
    record.attributes["vip"] = True
    await write(state, record)
    after = await one(state, "ann")
    assert (after.devices, after.presences["z7"].seen_ms) == ({"ann": 200}, 200)
    assert after.attributes == {"vip": True}


async def test_who_leaves_or_hesitates_has_no_stay(busy_world: World) -> None:
    state = busy_world.state
    await settle(state, standing("ann", 100), standing("bob", 100), standing("eve", 100))
    hesitant, gone = await one(state, "ann"), await one(state, "bob")
    hesitant.presences["z7"].pending_ms = 100
    gone.presences.clear()
    await write(state, hesitant, gone)
    known = await state.known(fixes("ann", "bob", "eve"))
    assert known.stay_ix.tolist() == [-1, -1, 0]
    assert known.has_record.tolist() == [True, False, True]
    await state.commit(commit_of(forget_devices=("eve",)))
    assert (await state.known(fixes("eve"))).stay_ix.tolist() == [-1]


async def test_rests_are_on_disk_after_a_stop_and_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = LocalState(path)
    await state.open()
    await settle(state, standing("ann", 100), standing("bob", 100))
    await state.commit(await rest_of(state, 100 + HOUR_MS, "ann"))
    await state.checkpoint()
    await state.commit(await rest_of(state, 200 + HOUR_MS, "ann", "bob"))
    await state.close()
    again = LocalState(path)
    await again.open()
    for name in ("ann", "bob"):
        record = await one(again, name)
        assert (record.devices, record.lag_ms) == ({name: 200 + HOUR_MS}, 5)
    await again.close()


async def test_a_device_that_must_leave_takes_no_news_with_it() -> None:
    state = LocalState(None, last_fix_capacity=3)
    await state.open()
    await settle(state, standing("ann", 100))
    await state.commit(await rest_of(state, 200, "ann"))
    for fix_ms in range(300, 306):
        await state.commit(commit_of(last=last(fix_ms, f"d{fix_ms}")))
    known = await state.known(fixes("ann"))
    assert (known.fix_ms.tolist(), known.stay_ix.tolist()) == ([200], [-1])
    assert (await one(state, "ann")).presences["z7"].seen_ms == 200


async def test_an_erased_person_has_no_stay(busy_world: World) -> None:
    state = busy_world.state
    await settle(state, standing("ann", 100))
    await state.erase("ann", 500)
    assert (await state.known(fixes("ann"))).stay_ix.tolist() == [-1]
    await settle(state, standing("ann", 600, 9))
    known = await state.known(fixes("ann"))
    assert known.stays.zone_prints[0].tolist() == [9, 0, 0]


def test_no_slot_is_never_current_however_full_the_table_is() -> None:
    table = StayTable()
    count = 256  # as many as there is room for at first
    settled = [(f"p{ix}", Settled("d", (7,), 9, 3, True)) for ix in range(count)]
    slots = table.place(settled, np.zeros(count, np.int64), np.arange(count))
    turns = table.take(slots).turn
    assert table.are_current(slots, turns).all()
    assert not table.are_current(np.array([-1]), turns[-1:]).any()
