"""Last fixes: what is known of the sender of a fix."""

from __future__ import annotations

import numpy as np
import pytest

from geoengine.core.columns import Spot
from geoengine.core.record import Consent, Record
from geoengine.state.embedded.held.device_index import FIRST_ROW, UNKNOWN, DeviceIndex
from geoengine.state.local import LocalState
from tests.state.backends import World
from tests.state.samples import (
    change,
    commit_of,
    fixes,
    last,
    located,
    one,
    present,
    write,
)


async def test_a_device_never_seen_is_known_by_nothing_but_its_name(world: World) -> None:
    known = await world.state.known(fixes("d1", "d2"))
    assert known.person_ids == ["d1", "d2"]
    assert known.fix_ms.tolist() == [-1, -1]
    assert np.isnan(known.lon_deg).all() and np.isnan(known.accuracy_m).all()
    assert not (known.is_located | known.has_record | known.has_refused).any()


async def test_the_last_fix_is_known_in_the_order_asked_for(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(last=last(10, "d1", "d2", lon_deg=2.5)))
    await state.commit(commit_of(last=last(20, "d2", lon_deg=2.75)))
    known = await state.known(fixes("d2", "d3", "d1", "d2"))
    assert known.fix_ms.tolist() == [20, -1, 10, 20]
    assert known.lon_deg[[0, 2, 3]].tolist() == [2.75, 2.5, 2.75]
    assert np.isnan(known.lon_deg[1])
    assert known.lat_deg[0] == 48.0 and known.accuracy_m[0] == 12.0


async def test_a_suspect_fix_is_known_until_the_next_update(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(last=last(10, "d1", "d2", suspects=2)))
    known = await state.known(fixes("d2", "d9"))
    assert known.suspect_count.tolist() == [2, 0]
    assert known.suspects == {int(known.device_keys[0]): Spot(3.0, 49.0, 5.0, 11)}
    await state.commit(commit_of(last=last(20, "d2")))
    known = await state.known(fixes("d2", "d1"))
    assert known.suspect_count.tolist() == [0, 2]


async def test_consent_and_presence_of_the_person_show_on_their_devices(world: World) -> None:
    state = world.state
    await state.commit(commit_of(last=last(10, "ann", "phone", "tablet", "watch")))
    await state.commit(commit_of(aliases={"phone": "ann", "watch": "ann"}))
    await write(state, present("ann", devices={"phone": 10}))
    known = await state.known(fixes("ann", "phone", "tablet", "watch"))
    assert known.person_ids == ["ann", "ann", "tablet", "ann"]
    assert known.is_located.tolist() == [True, True, False, True]
    assert known.has_record.tolist() == [True, True, False, True]
    record = await one(state, "ann")
    record.presences.clear()
    record.consents["location"] = Consent(False, 2, 5)
    await write(state, record)
    known = await state.known(fixes("ann", "phone", "tablet"))
    assert not known.is_located.any() and not known.has_record.any()
    assert known.has_refused.tolist() == [True, True, False]


async def test_a_record_with_nothing_to_observe_does_not_count_as_one(world: World) -> None:
    await write(world.state, located("ann"))
    known = await world.state.known(fixes("ann"))
    assert known.is_located.tolist() == [True]
    assert known.has_record.tolist() == [False]


async def test_flags_follow_a_device_that_changes_hands(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(last=last(10, "phone")))
    await write(state, present("ann"), Record("bob"))
    for owner, expected in (("ann", True), ("bob", False), ("ann", True), ("phone", False)):
        await state.commit(commit_of(aliases={"phone": owner}))
        known = await state.known(fixes("phone"))
        assert known.is_located.tolist() == [expected], owner
        assert known.has_record.tolist() == [expected], owner


async def test_flags_go_with_a_record_that_is_gone(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(last=last(10, "ann", "bob")))
    await write(state, present("ann"), present("bob"))
    await state.commit(commit_of(change(await one(state, "ann"), is_gone=True)))
    await state.commit(commit_of(drop_people={"bob": 1}))
    known = await state.known(fixes("ann", "bob"))
    assert not known.is_located.any() and not known.has_record.any()


async def test_a_forgotten_device_is_unknown_again(world: World) -> None:
    state = world.state
    await state.commit(commit_of(last=last(10, "d1", "d2")))
    await state.commit(commit_of(forget_devices=("d1", "never seen")))
    assert (await state.known(fixes("d1", "d2"))).fix_ms.tolist() == [-1, 10]


async def test_times_outlive_a_restart_and_positions_do_not(world: World) -> None:
    if not world.can_restart:
        pytest.skip("a state in memory only has no restart to outlive")
    if world.is_shared:
        pytest.skip("the servers of a shared state go on when a process stops")
    await world.state.commit(commit_of(last=last(10, "d1", "d2", suspects=1)))
    await world.restart()
    known = await world.state.known(fixes("d1", "d2"))
    assert known.fix_ms.tolist() == [10, 10]
    assert np.isnan(known.lon_deg).all() and np.isnan(known.lat_deg).all()
    assert not known.suspect_count.any()


async def test_a_device_on_record_keeps_its_time_when_the_table_has_lost_it() -> None:
    state = LocalState(None, last_fix_capacity=2)
    await state.open()
    await write(state, present("ann", devices={"phone": 77}), aliases={"phone": "ann"})
    await state.commit(commit_of(last=last(80, "phone")))
    for fix_ms in range(90, 95):
        await state.commit(commit_of(last=last(fix_ms, f"d{fix_ms}")))
    known = await state.known(fixes("phone"))
    assert (known.fix_ms.tolist(), known.is_located.tolist()) == ([77], [True])


async def test_the_device_seen_least_recently_leaves_first() -> None:
    state = LocalState(None, last_fix_capacity=4)
    await state.open()
    for fix_ms, device_id in enumerate(("a", "b", "c", "d", "a", "c", "e", "f")):
        await state.commit(commit_of(last=last(fix_ms, device_id)))
    known = await state.known(fixes("a", "b", "c", "d", "e", "f"))
    assert known.fix_ms.tolist() == [4, -1, 5, -1, 6, 7]
    assert (await state.stats()).device_count == 4


async def test_the_table_never_holds_more_than_it_may_and_forgets_the_oldest() -> None:
    capacity, turns = 3_000, 60
    state = LocalState(None, last_fix_capacity=capacity)
    await state.open()
    for turn in range(turns):
        names = [f"d{turn}-{i}" for i in range(200)]
        await state.commit(commit_of(last=last(turn, *names, "regular", suspects=turn % 2)))
        assert (await state.stats()).device_count <= capacity
    assert (await state.known(fixes("regular"))).fix_ms.tolist() == [turns - 1]
    recent = (await state.known(fixes(*(f"d{turns - 1}-{i}" for i in range(200))))).fix_ms
    assert (recent == turns - 1).all()
    assert (await state.known(fixes("d0-0"))).fix_ms.tolist() == [-1]


async def test_an_update_larger_than_the_table_leaves_it_whole() -> None:
    state = LocalState(None, last_fix_capacity=50)
    await state.open()
    await state.commit(commit_of(last=last(1, *(f"a{i}" for i in range(50)))))
    names = [f"b{i}" for i in range(120)]
    await state.commit(commit_of(last=last(2, *names)))
    known = (await state.known(fixes(*names, "stranger"))).fix_ms
    assert (known == 2).sum() == 50 and known[-1] == -1


async def test_devices_are_told_apart_through_any_coming_and_going() -> None:
    rng = np.random.default_rng(5)
    index, rows_of, free = DeviceIndex(), dict[int, int](), list(range(FIRST_ROW, 3_000))
    # Keys that collide in their low bits, as an adversary would choose them.
    keys = np.concatenate([rng.integers(-(2**62), 2**62, 2_000), np.arange(900) * 2**20])
    for _ in range(200):
        leaving = rng.choice(
            list(rows_of) or [0], min(len(rows_of), int(rng.integers(0, 60))), False
        )
        index.remove(np.array([rows_of[k] for k in leaving.tolist()], np.intp))
        free += [rows_of.pop(k) for k in leaving.tolist()]
        coming = [k for k in rng.choice(keys, 80, False).tolist() if k not in rows_of]
        rows_of |= {k: free.pop() for k in coming}
        index.insert(np.array(coming), np.array([rows_of[k] for k in coming], np.intp))
        assert index.find(keys).tolist() == [rows_of.get(k, UNKNOWN) for k in keys.tolist()]
