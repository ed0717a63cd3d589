"""The shared state where the world is at fault: lost replies, moving slots, bounds, settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace as struct_replace

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Fact, Record
from geoengine.core.units import DAY_MS
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, Settlement
from geoengine.state.redis import RedisState
from geoengine.state.shared.line.topology import slot_of
from tests.servers.cluster import Cluster
from tests.servers.proxy import Proxy, proxying
from tests.servers.server import Server, needed
from tests.servers.shared import server
from tests.state.samples import (
    change,
    commit_of,
    decision,
    fixes,
    last,
    one,
    present,
    send,
    write,
)
from tests.state.sharing import a_state_of, named, partition_of, processes

# --- lost replies -------------------------------------------------------------------------------


@pytest.fixture(params=["valkey", "redis"])
async def lossy(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Proxy, RedisState]]:
    """A process whose replies may be lost."""
    single = server(request.param)
    async with proxying("127.0.0.1", single.port) as proxy:
        where = a_state_of(proxy.url)
        async with processes(where, 1) as [state]:
            yield proxy, state


async def test_a_commit_whose_reply_is_lost_happens_once(lossy: tuple[Proxy, RedisState]) -> None:
    proxy, state = lossy
    lost = proxy.drop_reply(b"commit_")
    await write(state, present("ann"), sends=(send("s1"),), decisions=(decision("ann", 1),))
    assert lost.is_set()
    assert (await one(state, "ann")).version == 1
    assert len(await state.decisions("ann")) == len(await state.sends()) == 1


async def test_a_card_whose_reply_is_lost_is_put_once(lossy: tuple[Proxy, RedisState]) -> None:
    proxy, state = lossy
    lost = proxy.drop_reply(b"put_card_")
    first = await state.put_card(Card("code/1", b"1", owner="ann", until_ms=9), 0)
    assert lost.is_set() and await state.cards(["code/1"]) == {"code/1": first}
    lost = proxy.drop_reply(b"put_card_")
    second = await state.put_card(struct_replace(first, body=b"2"), 0)
    assert lost.is_set() and second.version == first.version + 1
    lost = proxy.drop_reply(b"put_card_")
    await state.put_card(struct_replace(second, body=b""), 0)
    assert lost.is_set() and await state.cards(["code/1"]) == {}


async def test_facts_whose_reply_is_lost_are_written_once(lossy: tuple[Proxy, RedisState]) -> None:
    proxy, state = lossy
    lost = proxy.drop_reply(b"commit_")
    await state.commit(commit_of(facts=(Fact("v", "visit", "ann", 1),)))
    assert lost.is_set() and (await state.stats()).fact_count == 1


async def test_a_commit_that_some_lost_answers_again_whom(
    lossy: tuple[Proxy, RedisState],
) -> None:
    proxy, state = lossy
    ann, bob = "ann", named("bob", beside="ann")
    await write(state, Record(ann), Record(bob))
    proxy.drop_reply(b"commit_")
    stale = Record(ann, version=9)
    said = (decision(ann, 1), decision(bob, 1))
    with pytest.raises(StateConflict) as conflict:
        await state.commit(commit_of(change(stale), change(Record(bob, 1)), decisions=said))
    assert conflict.value.people == [ann]
    assert (await one(state, bob)).version == 2
    assert len(await state.decisions(bob)) == 1 and await state.decisions(ann) == []


async def test_what_was_decided_of_somebody_without_a_record_is_said_once(
    lossy: tuple[Proxy, RedisState],
) -> None:
    proxy, state = lossy
    ann, bob = "ann", named("bob", beside="ann")
    proxy.drop_reply(b"commit_")
    with pytest.raises(StateConflict):
        stale = change(Record(ann, version=9))
        await state.commit(commit_of(stale, decisions=(decision(bob, 1),)))
    assert len(await state.decisions(bob)) == 1


async def test_a_last_fix_whose_note_is_repeated_is_no_conflict(
    lossy: tuple[Proxy, RedisState],
) -> None:
    proxy, state = lossy
    known = await state.known(fixes("phone"))
    row = last(10, "phone")
    lost = proxy.drop_reply(b"note_")
    await state.commit(commit_of(last=type(row)(**_columns(row) | {"slot_ix": known.slot_ix})))
    assert lost.is_set()
    assert (await state.known(fixes("phone"))).fix_ms.tolist() == [10]


def _columns(rows: object) -> dict[str, object]:
    return {name: getattr(rows, name) for name in rows.__dataclass_fields__}  # type: ignore[attr-defined]


async def test_rows_whose_lease_was_not_heard_of_are_leased_all_the_same(
    lossy: tuple[Proxy, RedisState],
) -> None:
    proxy, state = lossy
    await state.commit(commit_of(sends=(send("s1"), send("s2", "bob"))))
    proxy.drop_reply(b"take_")
    rows = await state.lease(5_000, 10, "w", 60_000)
    assert sorted(row.send.send_id for row in rows) == ["s1", "s2"]
    assert await state.lease(5_001, 10, "v", 60_000) == []


@pytest.mark.parametrize("status", ["delivered", "dead", "retry"])
async def test_a_settlement_whose_reply_is_lost_is_told_as_one(
    lossy: tuple[Proxy, RedisState], status: str
) -> None:
    proxy, state = lossy
    await state.commit(commit_of(sends=(send("s1"),)))
    await state.lease(5_000, 10, "w", 60_000)
    proxy.drop_reply(b"settle_")
    settled = await state.settle([Settlement("s1", status, due_ms=9_000)], "w", 6_000)
    assert settled == ["s1"]
    assert (await state.stats()).dead_count == (status == "dead")
    if status == "dead":
        proxy.drop_reply(b"revive_")
        assert await state.revive(["s1"], 7_000, 90_000) == ["s1"]


async def test_a_beginning_and_an_erasure_are_told_as_they_were(
    lossy: tuple[Proxy, RedisState],
) -> None:
    proxy, state = lossy
    await write(state, Record("ann"), sends=(send("s1"),))
    rows = await state.lease(5_000, 10, "w", 60_000)
    proxy.drop_reply(b"begin_")
    assert (await state.begin(rows)).keys() == {"ann"}
    proxy.drop_reply(b"erase_")
    proxy.drop_reply(b"erase_")
    assert await state.erase("ann", 6_000) is True
    assert await state.erase("ann", 6_000) is False


# --- bounds -------------------------------------------------------------------------------------


async def test_devices_seen_least_recently_leave_and_never_are_there_twice_too_many() -> None:
    capacity = 320  # ten in each half of a partition
    async with processes(a_state_of(server("valkey").url), last_fix_capacity=capacity) as two:
        for turn in range(60):
            names = [f"d{turn}-{i}" for i in range(40)]
            await two[turn % 2].commit(commit_of(last=last(turn, *names, "regular")))
            assert (await two[0].stats()).device_count <= 2 * capacity
        known = await two[0].known(fixes("regular", "d0-0", *names))
        assert known.fix_ms[:2].tolist() == [59, -1]
        assert (known.fix_ms[2:] == 59).all()


async def test_a_replica_and_the_file_hold_no_more_devices_than_the_primary(
    tmp_path: Path,
) -> None:
    binary = needed("valkey")
    with (
        Server(directory=tmp_path / "a", binary=binary, appendonly="always") as primary,
        Server(directory=tmp_path / "b", binary=binary, replica_of=primary) as replica,
    ):
        replica.wait_until_in_sync()
        async with processes(primary.url, 1, last_fix_capacity=64) as [state]:
            for turn in range(40):
                people = [f"p{turn}-{i}" for i in range(20)]
                records = [change(present(name, devices={name: turn})) for name in people]
                await state.commit(commit_of(*records, last=last(turn, *people)))
                await state.commit(  # what is on record shows on the row, and that is logged
                    commit_of(*(change(present(name, version=1)) for name in people))
                )
            await write(state, Record("durable"))
            assert (await state.stats()).device_count <= 128
            keys = replica.call("KEYS", "*:last_?")
            assert sum(replica.call("HLEN", key) for key in keys) <= 128
        primary.kill()
        primary.start()
        keys = primary.call("KEYS", "*:last_?")
        assert sum(primary.call("HLEN", key) for key in keys) <= 128


async def test_operations_are_remembered_for_a_while_and_not_for_ever() -> None:
    single = server("valkey")
    where = a_state_of(single.url)
    async with processes(where, 1) as [state]:
        for _ in range(90):
            commits = (commit_of(decisions=(decision("ann", 1),)) for _ in range(100))
            await asyncio.gather(*map(state.commit, commits))
        key = f"{where.partition('=')[2]}:{{p{partition_of('ann')}}}"
        kept = sum(single.call("HLEN", f"{key}:ops_{half}") for half in "ab")
        assert 4_096 <= kept <= 2 * 4_097


async def test_of_what_was_decided_about_one_person_the_latest_is_kept() -> None:
    async with processes(a_state_of(server("valkey").url)) as two:
        count = 0
        for at_ms in range(1_000):
            await two[at_ms % 2].commit(commit_of(decisions=(decision("ann", at_ms),)))
            count += 1
        kept = await two[0].decisions("ann", 1_000)
        assert 100 < len(kept) < count
        assert [one.at_ms for one in kept] == list(range(999, 999 - len(kept), -1))
        assert (await two[1].stats()).decision_count == len(kept)


async def test_a_full_outbox_takes_nothing_of_its_partition() -> None:
    async with processes(a_state_of(server("valkey").url), pending_limit=16 * 3) as [a, b]:
        far = named("far", apart_from=["ann"])
        for number in range(3):
            await a.commit(commit_of(sends=(send(f"s{number}"),)))
        full = commit_of(
            change(Record("ann")), change(Record(far)), sends=(send("s3"), send("f1", far))
        )
        with pytest.raises(StateUnavailable, match="full"):
            await b.commit(full)
        assert (await a.load(["ann", far])).keys() == {far}
        assert {row.send.send_id for row in await a.sends()} == {"s0", "s1", "s2", "f1"}
        for state in (a, b):
            await state.lease(5_000, 10, "w", 60_000)
        assert await a.settle([Settlement("s0", "delivered")], "w", 6_000) == ["s0"]
        await b.commit(full)  # once more: what had no room has, and the rest has happened
        assert (await one(a, "ann")).version == (await one(b, far)).version == 1
        assert len(await a.sends()) == 5


async def test_what_is_too_old_goes_and_the_rest_stays() -> None:
    async with processes(a_state_of(server("valkey").url)) as [a, b]:
        people = [f"p{i}" for i in range(50)]
        old = tuple(decision(name, 1) for name in people)
        new = tuple(decision(name, 10 * DAY_MS) for name in people)
        sends = tuple(send(f"s{name}", name, due_ms=0) for name in people)
        await a.commit(commit_of(decisions=old + new, sends=sends))
        rows = await a.lease(0, 100, "w", 1_000) + await b.lease(0, 100, "w", 1_000)
        assert len(rows) == 50
        ended = [Settlement(row.send.send_id, "delivered") for row in rows[:25]]
        await a.settle(ended, "w", 1)
        assert await b.trim(8 * DAY_MS, 5 * DAY_MS) == 75
        stats = await a.stats()
        assert (stats.decision_count, stats.pending_count) == (50, 25)
        assert len(await a.sends(limit=100)) == 25
        assert await b.trim(8 * DAY_MS, 5 * DAY_MS) == 0


# --- settings -----------------------------------------------------------------------------------


# --- a Cluster of our own -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), needed("valkey")) as running:
        yield running


async def add_ten(state: RedisState, person: str) -> None:
    """Ten points, a point a time, each said in a decision; again on a conflict."""
    done = 0
    while done < 10:
        record = (await state.load([person])).get(person) or Record(person)
        record.attributes["points"] = record.attributes.get("points", 0) + 1
        try:
            happened = Fact(f"{state.process} {done}", "visit", person, done)
            parts = {"decisions": (decision(person, done),), "facts": (happened,)}
            await state.commit(commit_of(change(record), **parts))
        except StateConflict:
            continue
        await amend_card(state, f"points/{person}", counted_up, now_ms=0)
        done += 1


def counted_up(card: Card) -> Card:
    return struct_replace(card, body=b"%d" % (int(card.body or b"0") + 1))


async def counts_of(state: RedisState, person: str) -> tuple[int, int, int, bytes]:
    """Points, decisions, facts, what is on the card."""
    points = (await one(state, person)).attributes["points"]
    said, happened = await state.decisions(person, 100), await state.facts(person)
    card = (await state.cards([f"points/{person}"]))[f"points/{person}"]
    return points, len(said), len(happened), card.body


async def test_a_slot_that_moves_under_commits_loses_nothing_and_says_nothing_twice(
    own_cluster: Cluster,
) -> None:
    where = a_state_of(own_cluster.url)
    async with processes(where) as two:
        people = ["ann", *(named(f"{n}-", beside="ann") for n in "abcdefg")]
        await write(two[0], Record("ann"))
        slot = slot_of(f"{two[0]._link.prefix}:{{p{partition_of('ann')}}}:people")
        source = own_cluster.master_of(slot)
        target = next(node for node in own_cluster.masters if node is not source)
        move = own_cluster.moving(slot, target)
        work = asyncio.gather(*(add_ten(state, name) for state in two for name in people))
        await asyncio.to_thread(move.begin)
        while await asyncio.to_thread(move.some_keys, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # half here, half there, for as long as it takes
        await asyncio.to_thread(move.finish)
        await work
        for name in people:
            assert await counts_of(two[1], name) == (20, 20, 20, b"20")


async def test_functions_flushed_without_a_pause_come_with_the_call() -> None:
    single = server("valkey")
    async with processes(a_state_of(single.url), 1) as [state]:
        work = asyncio.create_task(add_ten(state, "ann"))

        def flush() -> int:
            count = 0
            while not work.done():
                single.calls(*[("FUNCTION", "FLUSH")] * 50)
                count += 50
            return count

        flushed_count = await asyncio.to_thread(flush)
        await work
        assert flushed_count > 100
        assert await counts_of(state, "ann") == (10, 10, 10, b"10")


async def test_functions_flushed_under_commits_are_given_back(own_cluster: Cluster) -> None:
    async with processes(a_state_of(own_cluster.url)) as two:
        people = [f"p{number}" for number in range(12)]
        work = asyncio.gather(*(add_ten(state, name) for state in two for name in people))
        while not work.done():
            for node in own_cluster.masters:
                await asyncio.to_thread(node.call, "FUNCTION", "FLUSH")
            await asyncio.sleep(0.02)
        await work
        for name in people:
            assert await counts_of(two[0], name) == (20, 20, 20, b"20")
