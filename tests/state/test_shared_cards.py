"""Cards and facts of a state that many share: who wins, what is bounded, what is left of keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace as struct_replace

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Fact
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card
from geoengine.state.redis import RedisState
from tests.servers.server import Server, needed
from tests.servers.shared import cluster, server
from tests.state.samples import commit_of, decision
from tests.state.sharing import SERVERS, a_state_of, named, processes, until


@pytest.mark.parametrize("url_of", SERVERS.values(), ids=SERVERS.keys())
async def test_of_many_processes_that_put_one_version_one_wins(url_of) -> None:
    async with processes(a_state_of(url_of()), 4) as states:
        card = Card("pool/1", b"")
        for _ in range(10):
            tried = [(state, b"%d" % number) for number in range(25) for state in states]
            told = await asyncio.gather(*(try_to_put(*one, card) for one in tried))
            assert sum(told) == 1
            card = (await states[0].cards(["pool/1"]))["pool/1"]
            assert card.body == tried[told.index(True)][1]


async def try_to_put(state: RedisState, body: bytes, card: Card) -> bool:
    try:
        await state.put_card(struct_replace(card, body=body), 0)
    except StateConflict:
        return False
    return True


async def test_what_processes_take_from_one_pool_each_takes_alone() -> None:
    async with processes(a_state_of(cluster("valkey").url), 3) as states:
        await states[0].put_card(Card("pool/1", b"0" * 90), 0)
        numbers, left = count(1), []

        async def take(state: RedisState) -> None:
            def first_off(card: Card) -> Card:
                return struct_replace(card, body=card.body[1:])

            kept = await amend_card(state, "pool/1", first_off, now_ms=next(numbers))
            left.append(len(kept.body))

        await asyncio.gather(*(take(states[number % 3]) for number in range(90)))
        assert sorted(left) == list(range(90))
        assert await states[1].cards(["pool/1"]) == {}


async def test_a_card_put_in_one_process_does_not_outlive_an_erasure_in_another() -> None:
    async with processes(a_state_of(cluster("valkey").url)) as [a, b]:
        for turn in range(20):
            card = await a.put_card(Card(f"code/{turn}", b"x", owner="ann"), 0)
            await asyncio.gather(try_to_put(a, b"again", card), b.erase("ann", 0))
            assert await a.cards([card.name]) == {}


async def test_of_what_happened_to_one_person_the_latest_is_kept() -> None:
    async with processes(a_state_of(server("valkey").url)) as two:
        facts = [Fact(f"v{n}", "visit", "ann", n, data={"by": "x" * 800}) for n in range(400)]
        for start in range(0, 400, 20):
            await two[0].commit(commit_of(facts=tuple(facts[start : start + 20])))
        kept = await two[1].facts("ann", 1_000)
        assert 100 < len(kept) < 400
        assert [one.at_ms for one in kept] == list(range(399, 399 - len(kept), -1))
        assert (await two[1].stats()).fact_count == len(kept)


async def test_a_full_partition_takes_no_new_card_and_still_changes_those_it_has() -> None:
    async with processes(a_state_of(server("valkey").url), 1, card_limit=16 * 3) as [state]:
        names = [named(f"{n}-", beside="code/") for n in range(4)]
        cards = [await state.put_card(Card(name, b"x"), 0) for name in names[:3]]
        with pytest.raises(StateUnavailable, match="3 cards already"):
            await state.put_card(Card(names[3], b"x"), 0)
        await state.put_card(struct_replace(cards[0], body=b"y"), 0)
        await state.put_card(struct_replace(cards[1], body=b""), 0)
        assert (await state.put_card(Card(names[3], b"x"), 0)).body == b"x"


async def test_decisions_from_before_there_was_an_order_of_people_are_in_the_history() -> None:
    single = server("valkey")
    where = a_state_of(single.url)
    async with processes(where, 1) as [state]:
        people = [f"p{number}" for number in range(70)]
        await state.commit(commit_of(decisions=tuple(decision(name, 5) for name in people)))
        for number in range(16):
            single.call("DEL", f"{where.partition('=')[2]}:{{p{number}}}:tellers")
        told, start = [], ""
        while True:
            page = await state.history(0, 9, start, 3)
            told += [item.person_id for item in page.items]
            if not (start := page.next):
                break
        assert sorted(told) == sorted(people)


async def test_cards_of_the_erased_leave_no_key_behind() -> None:
    single = server("valkey")
    where = a_state_of(single.url)
    async with processes(where, 1) as [state]:
        for number in range(40):
            await state.put_card(Card(f"code/{number}", b"canary", 0, "canary", number), 0)
        await state.put_card(Card("code/x", b"x", 0, "canary\0bird", 5), 0)
        await state.commit(commit_of(facts=(Fact("v", "visit", "canary", 1),)))
        assert await state.erase("canary", 0)
        assert (await state.stats()).card_count == 1
        prefix = where.partition("=")[2]
        for key in single.call("KEYS", f"{prefix}:*:card*") + single.call(
            "KEYS", f"{prefix}:*:tellers"
        ):
            kind = single.call("TYPE", key)
            read = ("HGETALL", key) if kind in (b"hash", "hash") else ("ZRANGE", key, 0, -1)
            assert "canary'" not in str(single.call(*read)).replace("canary\\x00bird", "bird")


async def test_a_server_killed_under_changes_of_cards_loses_none_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    binary = needed("valkey")
    with Server(directory=tmp_path, binary=binary, appendonly="always") as one:
        async with processes(one.url, 2) as states:
            said = dict.fromkeys(("pool/1", "pool/2", "code/1"), 0)
            is_over = asyncio.Event()

            async def count_on(state: RedisState, name: str) -> None:
                while not is_over.is_set():
                    with suppress(StateUnavailable):
                        kept = await amend_card(state, name, counted_up, now_ms=0)
                        happened = Fact(f"{name} {kept.version}", "visit", "ann", kept.version)
                        await state.commit(commit_of(facts=(happened,)))
                        said[name] = max(said[name], int(kept.body))

            work = asyncio.gather(*(count_on(state, name) for state in states for name in said))
            for _ in range(3):
                before = sum(said.values())
                await until(lambda before=before: _is_beyond(said, before + 30))
                await asyncio.to_thread(one.kill)
                await asyncio.to_thread(one.start)
            is_over.set()
            await work
            cards, facts = await states[0].cards([*said]), await states[1].facts("ann", 100_000)
            ids = {fact.id for fact in facts}
            for name, number in said.items():
                assert int(cards[name].body) == cards[name].version >= number > 0
                assert f"{name} {number}" in ids


async def _is_beyond(said: dict[str, int], count: int) -> bool:
    return sum(said.values()) > count


def counted_up(card: Card) -> Card:
    return struct_replace(card, body=b"%d" % (int(card.body or b"0") + 1))


async def test_a_replica_holds_a_card_when_it_has_been_put(tmp_path: Path) -> None:
    binary = needed("valkey")
    with (
        Server(directory=tmp_path / "a", binary=binary) as primary,
        Server(directory=tmp_path / "b", binary=binary, replica_of=primary) as replica,
    ):
        replica.wait_until_in_sync()
        async with processes(primary.url, 1) as [state]:
            for number in range(30):
                await state.put_card(Card(f"code/{number}", b"x", owner="ann"), 0)
                keys = replica.call("KEYS", "*:cards")
                assert sum(replica.call("HLEN", key) for key in keys) == number + 1
            await state.erase("ann", 0)
            assert replica.call("KEYS", "*:card*") == []
