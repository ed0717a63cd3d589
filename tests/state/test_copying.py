"""A state told and taken in, from each back end to each, and the copy that proves itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace as struct_replace

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Consent, Decision, Fact, Presence, Record
from geoengine.state.base import (
    Alias,
    Card,
    Kept,
    LastTime,
    Note,
    Person,
    SentRow,
    Settlement,
    State,
)
from geoengine.state.copying import MARK, Copied, Tally, copy, require_whole
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.servers.proxy import proxying
from tests.servers.shared import cluster, prefix, server
from tests.state.backends import CONCURRENT_WORLDS, World
from tests.state.samples import (
    change,
    commit_of,
    decision,
    everybody,
    fixes,
    last,
    located,
    one,
    send,
    write,
)

PEOPLE = [f"person{number}" for number in range(150)]  # more than one look at a server's hash


async def told_by(state: State) -> list[Kept]:
    """Everything a state tells, without marks of copies."""
    found = [item async for items, _ in state.tell() for item in items]
    return [item for item in found if not (isinstance(item, Note) and item.name == MARK)]


def of_kind(items: Sequence[Kept], kind: type) -> list[Kept]:
    return [item for item in items if isinstance(item, kind)]


def checksum(items: Sequence[Kept]) -> str:
    tally = Tally()
    tally.add(items)
    return tally.checksum()


async def fill(state: State) -> None:
    """Something of every kind, and every way in which it can stand."""
    await state.note("coupon_key", b"\x00\xffsecret", is_first=True)
    ann = Record(
        "ann",
        consents={"location": Consent(True, 3, 5, {"source": "app"}), "sms": Consent(False, 2, 9)},
        addresses={"sms": "+33600000000"},
        attributes={"points": 3, "rate": 0.5, "name": "Zoé", "tags": ["a", {"b": None}]},
        devices={"phone": 4_000, "watch": 9},
        presences={"z": Presence(True, 7, "phone", 1_000, 4_000)},
        lag_ms=20,
        beacons=["u:1:2"],
    )
    await state.commit(commit_of(last=last(4_000, "phone")))
    await write(state, ann, aliases={"phone": "ann", "u:1:2": "ann"})
    # From here on they stand where they stood, and their device's last fix tells so.
    await state.commit(commit_of(change(await one(state, "ann"), due_ms=77_000)))
    rows = last(6_000, "phone", "stranger", suspects=1)
    await state.commit(commit_of(last=replace(rows, person_ids=["ann", "stranger"])))
    await state.commit(commit_of(*(change(located(name), due_ms=9) for name in PEOPLE)))
    await send_all_ways(state)
    for nth, at_ms in enumerate((30, 10, 10, 20)):
        said = (decision("ann", at_ms, f"c{at_ms}"), decision("bob", at_ms))
        happened = (Fact(f"v{nth}", "visit", "ann", at_ms), Fact("v", "visit", "bob", at_ms))
        await state.commit(commit_of(decisions=said, facts=happened))
    for number in range(70):
        card = Card(f"code/{number}", b"%d" % number, 0, ("ann", "", "bob")[number % 3], number)
        card = await state.put_card(card, now_ms=0)
        if number % 10 == 0:
            await state.put_card(struct_replace(card, body=b"again"), now_ms=1)


async def send_all_ways(state: State) -> None:
    rows = [send(name, "ann", due_ms=1_000) for name in ("dead", "done", "again", "held")]
    rows += [send("gone", "bob", due_ms=1_000), send("later", "bob", due_ms=50_000)]
    await state.commit(commit_of(sends=tuple(rows)))
    await state.lease(1_000, 5, "me", 60_000)
    ends = [
        Settlement("dead", "dead", "http_500", attempts=8),
        Settlement("done", "delivered", attempts=1),
        Settlement("again", "retry", "http_503", due_ms=8_000, attempts=2),
    ]
    await state.settle(ends, "me", 2_000)
    await state.commit(commit_of(cancel_sends_of=(("bob", "sms"),), now_ms=3_000))


@pytest.fixture(params=CONCURRENT_WORLDS.values(), ids=CONCURRENT_WORLDS.keys())
async def other_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """An empty state on each back end, beside the first."""
    async with request.param(tmp_path / "other") as opened:
        yield opened


async def test_everything_kept_is_told(busy_world: World) -> None:
    state = busy_world.state
    await fill(state)
    told = await told_by(state)
    people = {item.record.person_id: item for item in of_kind(told, Person)}
    assert people["ann"] == Person(await one(state, "ann"), 77_000)
    assert people["ann"].record.presences["z"].seen_ms == 6_000
    assert (people["ann"].record.version, people["person9"].due_ms) == (2, 9)
    assert sorted(people) == await everybody(state)
    assert of_kind(told, Note) == [Note("coupon_key", b"\x00\xffsecret")]
    aliases = sorted(of_kind(told, Alias), key=lambda alias: alias.name)
    assert aliases == [Alias("phone", "ann"), Alias("u:1:2", "ann")]
    times = sorted(of_kind(told, LastTime), key=lambda time: time.device_id)
    assert times == [LastTime("phone", 6_000), LastTime("stranger", 6_000)]
    sends = {row.send.send_id: row for row in of_kind(told, SentRow)}
    assert {send_id: row.status for send_id, row in sends.items()} == {
        "again": "pending", "dead": "dead", "done": "delivered", "gone": "refused",
        "held": "pending", "later": "refused",
    }  # fmt: skip
    again = sends["again"].send
    assert (again.due_ms, again.attempts, again.last_error) == (8_000, 2, "http_503")
    assert sends["held"].send.due_ms == 1_000
    said = [item.at_ms for item in of_kind(told, Decision) if item.person_id == "ann"]
    assert said == [30, 10, 10, 20]
    happened = [item for item in of_kind(told, Fact) if item.person_id == "ann"]
    assert [(item.id, item.at_ms) for item in happened] == [
        ("v0", 30), ("v1", 10), ("v2", 10), ("v3", 20),
    ]  # fmt: skip
    cards = {item.name: item for item in of_kind(told, Card)}
    assert len(cards) == 70 and {card.version for card in cards.values()} == {0}
    assert cards["code/60"] == Card("code/60", b"again", 0, "ann", 60)


async def test_what_was_told_and_taken_in_is_told_again_the_same(
    busy_world: World, other_world: World
) -> None:
    await fill(busy_world.state)
    told = await told_by(busy_world.state)
    await other_world.state.take_in(told)
    await other_world.restart()
    assert checksum(await told_by(other_world.state)) == checksum(told)


async def test_what_was_taken_in_works_like_what_was_committed(
    busy_world: World, other_world: World
) -> None:
    await fill(busy_world.state)
    state = other_world.state
    await state.take_in(await told_by(busy_world.state))
    await other_world.restart()
    state = other_world.state
    stats = await state.stats()
    assert (stats.record_count, stats.device_count) == (len(PEOPLE) + 1, 2)
    assert (stats.pending_count, stats.dead_count, stats.decision_count) == (2, 1, 8)
    assert await state.owners(["phone", "u:1:2", "watch"]) == ["ann", "ann", "watch"]
    known = await state.known(fixes("phone", "stranger"))
    assert known.fix_ms.tolist() == [6_000, 6_000]
    assert known.is_located.tolist() == [True, False]
    assert len(await state.due(9)) == len(PEOPLE)
    assert [row.send.send_id for row in await state.lease(2_000, 9, "you", 60_000)] == ["held"]
    assert await state.revive(["dead"], 3_000, 90_000) == ["dead"]
    assert [said.at_ms for said in await state.decisions("ann")] == [30, 20, 10, 10]
    assert await state.noted("coupon_key") == b"\x00\xffsecret"
    assert [fact.id for fact in await state.facts("ann")] == ["v0", "v3", "v2", "v1"]
    assert len((await state.history(0, 1 << 45)).items) > 0
    card = (await state.cards(["code/60"]))["code/60"]
    assert (await state.put_card(struct_replace(card, body=b"more"), 1)).version > card.version
    assert len((await state.cards_from("code/", limit=10)).cards) > 0
    await write(state, await one(state, "ann"))
    assert (await one(state, "ann")).version == 3
    assert await state.erase("ann", 4_000)
    assert not [row for row in await state.sends() if row.send.person_id == "ann"]
    assert await state.owners(["phone"]) == ["phone"]
    assert await state.cards(["code/60", "code/1"]) == {"code/1": Card("code/1", b"1", 1, "", 1)}
    assert (await state.stats()).card_count == 70 - 24
    assert await state.trim(3, 0) == 2
    assert await state.cards(["code/1", "code/2"]) == {}


async def test_a_wiped_state_tells_nothing_and_may_be_filled_again(busy_world: World) -> None:
    await fill(busy_world.state)
    await busy_world.state.wipe()
    assert await told_by(busy_world.state) == []
    await busy_world.restart()
    assert await told_by(busy_world.state) == []
    await fill(busy_world.state)
    assert (await busy_world.state.stats()).pending_count == 2


def test_a_tally_knows_no_order_but_every_item_and_how_often_it_was_told():
    items = [Alias("a", "b"), Alias("c", "d"), LastTime("a", 1)]
    assert len({checksum(some) for some in permutations(items)}) == 1
    told, found = Tally(), Tally()
    told.add(items)
    found.add([*items, Alias("a", "b"), LastTime("a", 2)])
    assert told.differing(found) == ["aliases", "last fixes"]
    assert told.differing(told) == []
    assert told.checksum() != found.checksum()


# --- the copy -----------------------------------------------------------------------------------


def silent(_: Tally, __: float) -> None:
    pass


def embedded(path: Path) -> LocalState:
    return LocalState(path, last_fix_capacity=1 << 30)


def onlooker(url: str) -> RedisState:
    return RedisState(url, partition_count=16, is_onlooker=True)


async def copied(origin: State, target: State, on_progress=silent) -> Copied:
    """A copy between states that are opened for it."""
    await origin.open()
    try:
        return await copy(origin, lambda: target, on_progress)
    finally:
        await origin.close()


async def filled(path: Path) -> LocalState:
    state = embedded(path)
    await state.open()
    await fill(state)
    await state.close()
    return embedded(path)


@pytest.fixture(params=["valkey", "redis", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """A shared state of its own."""
    place = cluster("valkey") if request.param == "cluster" else server(request.param)
    return f"{place.url}?prefix={prefix()}"


async def test_a_copy_from_embedded_to_shared_and_back_is_the_same(tmp_path, url):
    steps = []
    there = await copied(
        await filled(tmp_path / "a.db"), onlooker(url), lambda _, done: steps.append(done)
    )
    back = await copied(onlooker(url), embedded(tmp_path / "b.db"))
    assert there.told == there.found == back.told == back.found
    assert there.told.counts == {
        "notes": 1, "people": 151, "aliases": 2, "last fixes": 2, "sends": 6, "decisions": 8,
        "facts": 8, "cards": 70,
    }  # fmt: skip
    assert steps == sorted(steps) and steps[-1] == 1


@pytest.fixture
async def target_url(url: str) -> AsyncIterator[str]:
    """Another shared state, where the first is."""
    yield f"{url.partition('?')[0]}?prefix={prefix()}"


async def test_a_copy_between_shared_states_is_the_same(tmp_path, url, target_url):
    await copied(await filled(tmp_path / "a.db"), onlooker(url))
    result = await copied(onlooker(url), onlooker(target_url))
    assert result.told == result.found
    assert result.found.counts["people"] == 151


async def test_an_empty_state_is_copied_too(tmp_path, url):
    result = await copied(onlooker(url), embedded(tmp_path / "b.db"))
    assert result.told == result.found == Tally()


async def test_a_shared_state_takes_as_many_partitions_as_it_is_told_to_have(tmp_path, url):
    target = RedisState(url, partition_count=7, is_onlooker=True)
    result = await copied(await filled(tmp_path / "a.db"), target)
    assert result.told == result.found
    found = RedisState(url, partition_count=16)
    await found.open()
    assert len((await found.overview()).partitions) == 7
    assert await found.owners(["phone"]) == ["ann"]
    await found.close()


async def test_a_state_that_holds_something_is_not_copied_into(tmp_path, url):
    await copied(await filled(tmp_path / "a.db"), onlooker(url))
    with pytest.raises(StateUnavailable, match="TO is not empty"):
        await copied(embedded(tmp_path / "a.db"), onlooker(url))
    with pytest.raises(StateUnavailable, match="TO is not empty"):
        await copied(onlooker(url), embedded(tmp_path / "a.db"))


async def test_neither_side_may_be_served(tmp_path, url):
    origin = await filled(tmp_path / "a.db")
    service = RedisState(url, partition_count=16)
    await service.open()
    for sides, side in (((origin, onlooker(url)), "TO"), ((onlooker(url), origin), "FROM")):
        with pytest.raises(StateUnavailable, match=f"{side} is being served by .*") as caught:
            await copied(*sides)
        assert service.process in str(caught.value)
    await service.close()
    assert (await copied(origin, onlooker(url))).found.counts["people"] == 151


async def test_who_begins_to_serve_meanwhile_is_found_at_the_end(tmp_path, url):
    service = RedisState(url, partition_count=16)
    has_begun = False

    class Serving(LocalState):
        async def take_in(self, items: Sequence[Kept]) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                await service.open()
            await super().take_in(items)

    await copied(await filled(tmp_path / "a.db"), onlooker(url))
    with pytest.raises(StateUnavailable, match="FROM is being served"):
        await copied(onlooker(url), Serving(tmp_path / "b.db"))
    await service.close()


class BrokenOff(Exception):
    """The copy was interrupted."""


def stop_half_way(_: Tally, done: float) -> None:
    if done > 0.3:
        raise BrokenOff


async def is_whole(state: State) -> bool:
    await state.open()
    try:
        await require_whole(state)
    except StateUnavailable:
        return False
    finally:
        await state.close()
    return True


async def test_a_copy_broken_off_is_begun_anew_and_nothing_of_the_first_stays(tmp_path, url):
    origin = await filled(tmp_path / "a.db")
    with pytest.raises(BrokenOff):
        await copied(origin, onlooker(url), stop_half_way)
    assert not await is_whole(onlooker(url))
    await origin.open()
    assert await origin.erase("person7", 5_000)
    await origin.close()
    result = await copied(origin, onlooker(url))
    assert result.told == result.found
    assert result.found.counts["people"] == 150
    with pytest.raises(BrokenOff):
        await copied(onlooker(url), embedded(tmp_path / "b.db"), stop_half_way)
    assert not await is_whole(embedded(tmp_path / "b.db"))
    assert (await copied(onlooker(url), embedded(tmp_path / "b.db"))).found == result.found
    assert await is_whole(embedded(tmp_path / "b.db"))
    assert await is_whole(onlooker(url))


async def test_half_a_copy_is_not_copied_on(tmp_path, url):
    with pytest.raises(BrokenOff):
        await copied(await filled(tmp_path / "a.db"), onlooker(url), stop_half_way)
    with pytest.raises(StateUnavailable, match="it begins anew"):
        await copied(onlooker(url), embedded(tmp_path / "b.db"))


class Forgetting(LocalState):
    """Loses a decision, and part of a record."""

    async def take_in(self, items: Sequence[Kept]) -> None:
        for item in of_kind(items, Person):
            item.record.locale = "xx"
        await super().take_in([one for one in items if one != decision("ann", 20, "c20")])


async def test_a_copy_that_differs_is_named_by_kind_and_stays_marked(tmp_path):
    path = tmp_path / "b.db"
    result = await copied(await filled(tmp_path / "a.db"), Forgetting(path))
    assert result.told.differing(result.found) == ["people", "decisions"]
    assert not await is_whole(embedded(path))


async def test_an_onlooker_serves_nothing_and_leaves_nothing(url):
    looking = onlooker(url)
    await looking.open()
    assert await looking.served_by() == []
    assert await told_by(looking) == []
    service = RedisState(url, partition_count=4)
    await service.open()
    assert await looking.served_by() == [service.process]
    assert len((await service.overview()).partitions) == 4
    assert await looking.due(1 << 50) == []
    await service.close()
    await looking.close()


@pytest.mark.parametrize("lost", ["reply", "request"])
async def test_a_lost_answer_puts_nothing_there_twice(tmp_path, lost):
    async with proxying("127.0.0.1", server("valkey").port) as proxy:
        target = onlooker(f"{proxy.url}?prefix={prefix()}")
        was_lost = (proxy.drop_reply if lost == "reply" else proxy.drop_request)(b"take_in")
        result = await copied(await filled(tmp_path / "a.db"), target)
    assert was_lost.is_set()
    assert result.told == result.found
