"""The outbox: leases, settling, cancelling."""

from __future__ import annotations

import pytest

from geoengine.core.record import Record
from geoengine.core.units import DAY_MS
from geoengine.state.base import Settlement
from tests.state.backends import World
from tests.state.samples import change, commit_of, one, send

LEASE_MS = 10_000


async def statuses(world: World) -> dict[str, tuple[str, str]]:
    return {row.send.send_id: (row.status, row.reason) for row in await world.state.sends()}


async def lease(world: World, now_ms: int, owner: str = "w1", limit: int = 10) -> list[str]:
    rows = await world.state.lease(now_ms, limit, owner, LEASE_MS)
    assert all(row.owner == owner and row.until_ms == now_ms + LEASE_MS for row in rows)
    return [row.send.send_id for row in rows]


async def test_rows_are_leased_oldest_due_first_and_not_before_they_are_due(world: World) -> None:
    sends = (send("s3", due_ms=30), send("s1", due_ms=10), send("s2", due_ms=20))
    await world.state.commit(commit_of(sends=sends))
    assert await world.state.next_due() == 10
    assert await lease(world, 5) == []
    assert await lease(world, 25, limit=1) == ["s1"]
    assert await lease(world, 25) == ["s2"]
    assert await lease(world, 30) == ["s3"]


async def test_a_leased_row_is_nobody_elses_until_the_lease_runs_out(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    assert await lease(world, 100, "w1") == ["s1"]
    assert (await world.state.sends())[0].status == "leased"
    assert await world.state.next_due() == 100 + LEASE_MS
    assert await lease(world, 99 + LEASE_MS, "w2") == []
    assert await lease(world, 100 + LEASE_MS, "w2") == ["s1"]


async def test_an_owner_whose_lease_went_to_another_settles_nothing(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    await lease(world, 0, "w1")
    await lease(world, LEASE_MS, "w2")
    delivered = [Settlement("s1", "delivered")]
    assert await world.state.settle(delivered, "w1", LEASE_MS) == []
    assert await world.state.settle(delivered, "w2", LEASE_MS) == ["s1"]
    assert await world.state.settle(delivered, "w2", LEASE_MS) == []


async def test_settling_answers_in_order_and_leaves_strangers_out(world: World) -> None:
    await world.state.commit(commit_of(sends=tuple(send(f"s{i}", due_ms=i) for i in range(3))))
    await lease(world, 10)
    settlements = [Settlement(s, "delivered") for s in ("s2", "nobody", "s0")]
    assert await world.state.settle(settlements, "w1", 11) == ["s2", "s0"]


@pytest.mark.parametrize("status", ["delivered", "expired", "refused", "dead"])
async def test_a_settled_row_is_never_leased_again_and_its_end_is_kept(
    world: World, status: str
) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    await lease(world, 0)
    await world.state.settle([Settlement("s1", status, "why", attempts=2)], "w1", 500)
    await world.restart()
    assert await lease(world, DAY_MS) == []
    assert await world.state.next_due() is None
    (row,) = await world.state.sends(status)
    assert (row.status, row.reason, row.settled_ms, row.send.attempts) == (status, "why", 500, 2)
    stats = await world.state.stats()
    assert (stats.pending_count, stats.dead_count) == (0, int(status == "dead"))


async def test_a_row_put_back_is_due_when_it_was_told_to_be(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    await lease(world, 0)
    retry = Settlement("s1", "retry", "503", due_ms=5_000, attempts=1)
    assert await world.state.settle([retry], "w1", 10) == ["s1"]
    await world.restart()
    assert await world.state.next_due() == 5_000
    assert await lease(world, 4_999, "w2") == []
    (row,) = await world.state.lease(5_000, 1, "w2", LEASE_MS)
    assert (row.send.attempts, row.send.last_error, row.send.due_ms) == (1, "503", 5_000)


async def test_a_send_that_was_ever_appended_is_never_appended_again(world: World) -> None:
    first = commit_of(change(Record("ann")), sends=(send("s1", due_ms=0, address="first"),))
    await world.state.commit(first)
    again = commit_of(
        change(await one(world.state, "ann")),
        sends=(send("s1", due_ms=0, address="second"), send("s2", due_ms=1)),
    )
    await world.state.commit(again)
    assert await lease(world, 5) == ["s1", "s2"]
    await world.state.settle([Settlement("s1", "delivered")], "w1", 5)
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    assert await lease(world, 5 + LEASE_MS) == ["s2"]
    rows = {row.send.send_id: row for row in await world.state.sends()}
    assert rows["s1"].send.address == "first"
    assert rows["s1"].status == "delivered"


async def test_of_two_sends_with_one_id_in_a_commit_the_first_counts(world: World) -> None:
    twice = send("s1", due_ms=0, address="first"), send("s1", due_ms=9, address="second")
    await world.state.commit(commit_of(sends=twice))
    assert [row.send.address for row in await world.state.sends()] == ["first"]
    assert (await world.state.stats()).pending_count == 1
    (leased,) = await world.state.lease(5, 10, "w1", LEASE_MS)
    assert leased.send.address == "first"
    assert await world.state.settle([Settlement("s1", "delivered")], "w1", 7) == ["s1"]
    assert await statuses(world) == {"s1": ("delivered", "")}


async def test_sends_are_listed_newest_first_by_status(world: World) -> None:
    await world.state.commit(commit_of(sends=tuple(send(f"s{i}", due_ms=i) for i in range(5))))
    await lease(world, 1)
    await world.state.settle([Settlement("s0", "dead", "gone")], "w1", 10)
    assert [r.send.send_id for r in await world.state.sends()] == ["s4", "s3", "s2", "s1", "s0"]
    assert [r.send.send_id for r in await world.state.sends(limit=2)] == ["s4", "s3"]
    pending = await world.state.sends("pending", limit=2)
    assert [r.send.send_id for r in pending] == ["s4", "s3"]
    assert [r.send.send_id for r in await world.state.sends("leased")] == ["s1"]
    assert [r.send.send_id for r in await world.state.sends("dead")] == ["s0"]


async def test_a_withdrawal_refuses_the_pending_rows_of_that_lever(world: World) -> None:
    sends = (send("a"), send("b", lever="push"), send("c", "bob"), send("d", lever="webhook"))
    await world.state.commit(commit_of(sends=sends))
    await world.state.commit(commit_of(cancel_sends_of=(("ann", "sms"),), now_ms=7))
    assert (await statuses(world))["a"] == ("refused", "consent_withdrawn")
    assert await lease(world, 2_000) == ["b", "c", "d"]


async def test_a_withdrawal_of_everything_refuses_every_row_of_the_person(world: World) -> None:
    sends = (send("a"), send("b", lever="push"), send("c", "bob"))
    await world.state.commit(commit_of(sends=sends))
    await world.state.commit(commit_of(cancel_sends_of=(("ann", ""),), now_ms=7))
    assert await lease(world, 2_000) == ["c"]
    assert (await world.state.stats()).pending_count == 1


async def test_a_row_cancelled_while_being_sent_can_still_be_settled(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0),)))
    await lease(world, 0)
    await world.state.commit(commit_of(cancel_sends_of=(("ann", "sms"),), now_ms=7))
    assert await world.state.settle([Settlement("s1", "delivered")], "w1", 8) == ["s1"]
    assert await statuses(world) == {"s1": ("delivered", "")}


async def test_a_row_cancelled_while_being_sent_is_not_tried_again(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0), send("s2", due_ms=0))))
    await lease(world, 0)
    await world.state.commit(commit_of(cancel_sends_of=(("ann", ""),), now_ms=7))
    retry = Settlement("s1", "retry", "503", due_ms=9)
    assert await world.state.settle([retry], "w1", 8) == ["s1"]
    assert await lease(world, DAY_MS) == []
    assert await statuses(world) == {
        "s1": ("refused", "consent_withdrawn"),
        "s2": ("refused", "consent_withdrawn"),
    }


async def test_dead_rows_are_revived_and_no_others(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0), send("s2", due_ms=0))))
    await lease(world, 0)
    ends = [Settlement("s1", "dead", "410", attempts=8), Settlement("s2", "delivered")]
    await world.state.settle(ends, "w1", 5)
    assert await world.state.revive(["s1", "s2", "s3"], 50, 9_000) == ["s1"]
    assert await world.state.revive(["s1"], 50, 9_000) == []
    (row,) = await world.state.lease(50, 5, "w1", LEASE_MS)
    assert (row.send.send_id, row.send.attempts, row.send.expires_ms) == ("s1", 0, 9_000)
    assert (await world.state.stats()).dead_count == 0


async def test_of_a_person_all_that_is_on_its_way_or_has_ended_is_told_and_nobody_elses(
    world: World,
) -> None:
    state = world.state
    sends = tuple(send(f"s{number}", due_ms=number) for number in range(5))
    await state.commit(commit_of(sends=(*sends, send("b0", "bob", due_ms=0))))
    await lease(world, 2)  # s0 to s2, and bob's
    ends = [Settlement("s0", "delivered"), Settlement("s1", "retry", "503", due_ms=99, attempts=1)]
    await state.settle([*ends, Settlement("b0", "dead", "410")], "w1", 5)
    rows = await state.sends_of("ann")
    assert [(row.send.send_id, row.status) for row in rows] == [
        ("s4", "pending"), ("s3", "pending"), ("s2", "leased"), ("s1", "pending"),
        ("s0", "delivered"),
    ]  # fmt: skip
    assert (rows[3].send.last_error, rows[3].send.attempts, rows[4].settled_ms) == ("503", 1, 5)
    assert rows == [row for row in await state.sends() if row.send.person_id == "ann"]
    assert await state.sends_of("ann", limit=2) == rows[:2]
    await state.commit(commit_of(cancel_sends_of=(("ann", ""),), now_ms=7))
    assert [row.status for row in await state.sends_of("ann")] == ["refused"] * 4 + ["delivered"]
    await state.erase("ann", 9)
    assert await state.sends_of("ann") == [] == await state.sends_of("stranger")
    assert [row.status for row in await state.sends_of("bob")] == ["dead"]


async def test_settled_rows_are_kept_a_week_and_pending_ones_until_they_end(world: World) -> None:
    await world.state.commit(commit_of(sends=(send("s1", due_ms=0), send("s2", due_ms=1))))
    await lease(world, 0)
    await world.state.settle([Settlement("s1", "delivered")], "w1", 500)
    assert await world.state.trim(500 + 7 * DAY_MS, 0) == 0
    assert await world.state.trim(501 + 7 * DAY_MS, 0) == 1
    assert [row.send.send_id for row in await world.state.sends()] == ["s2"]


async def test_settled_rows_are_kept_as_long_as_is_told(world: World) -> None:
    sends = tuple(send(f"s{n}", due_ms=0) for n in range(3))
    await world.state.commit(commit_of(sends=sends))
    await lease(world, 0)
    for number, at_ms in enumerate((500, 600)):
        await world.state.settle([Settlement(f"s{number}", "delivered")], "w1", at_ms)
    assert await world.state.trim(DAY_MS, 0, settled_before_ms=500) == 0
    assert await world.state.trim(DAY_MS, 0, settled_before_ms=600) == 1
    assert [row.send.send_id for row in await world.state.sends()] == ["s2", "s1"]
    assert await world.state.trim(9 * DAY_MS, 0, settled_before_ms=601) == 1
    assert [row.send.send_id for row in await world.state.sends()] == ["s2"]


async def test_sizes_are_told(world: World) -> None:
    commit = commit_of(
        change(Record("ann")),
        sends=(send("s1", created_ms=40), send("s2", created_ms=50)),
    )
    await world.state.commit(commit)
    stats = await world.state.stats()
    assert (stats.record_count, stats.pending_count, stats.oldest_pending_ms) == (1, 2, 40)
