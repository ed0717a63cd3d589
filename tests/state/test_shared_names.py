"""Whose a device is, as several processes see it: bound, rebound, cut short, erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from geoengine.core.record import Fired, Record
from geoengine.state import amending
from geoengine.state.base import Commit
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store
from tests.servers.proxy import Proxy, proxying
from tests.servers.server import Server
from tests.servers.shared import server
from tests.state.samples import change, commit_of, fixes, last, located, one, op, present, write
from tests.state.sharing import SERVERS, a_state_of, kinds, named, partition_of, processes, serving

BOOK = World(stores=[a_store("shop")], campaigns=[a_campaign()]).book()
ANN = "ann"
HERE = named("phone", beside=ANN)  # its home is the partition of Ann
AWAY = named("phone", apart_from=[ANN])
BESIDE = named("bob", beside=ANN)
ELSEWHERE = named("bob", apart_from=[ANN, AWAY])


@pytest.fixture(params=SERVERS.values(), ids=SERVERS.keys())
async def two(request: pytest.FixtureRequest) -> AsyncIterator[list[RedisState]]:
    """Two processes on one state."""
    async with processes(a_state_of(request.param())) as both:
        yield both


async def owner_by(state: RedisState, device: str) -> str:
    """Whose a device is where its fixes are looked up."""
    return (await state.known(fixes(device))).person_ids[0]


@pytest.mark.parametrize("phone", [HERE, AWAY])
@pytest.mark.parametrize("bob", [BESIDE, ELSEWHERE])
async def test_every_process_sees_a_device_change_hands(
    two: list[RedisState], phone: str, bob: str
) -> None:
    a, b = two
    await write(a, located(ANN), Record(bob))
    await b.commit(commit_of(last=last(10, phone)))
    for owner in (ANN, bob, ANN, bob):
        await a.commit(commit_of(aliases={phone: owner}))
        for state in two:
            known = await state.known(fixes(phone))
            assert (known.person_ids, known.is_located[0]) == ([owner], owner == ANN)
            assert known.fix_ms.tolist() == [10]


@pytest.mark.parametrize("phone", [HERE, AWAY])
async def test_a_merged_device_has_the_consents_of_its_person(
    two: list[RedisState], phone: str
) -> None:
    a, b = two
    await write(a, located(ANN), located(phone))
    await b.commit(commit_of(last=last(10, phone)))
    await amending.identify(a, BOOK, phone, ANN, NOON_MS)
    for state in two:
        known = await state.known(fixes(phone))
        assert (known.person_ids, known.is_located[0]) == ([ANN], True)


@pytest.mark.parametrize("phone", [HERE, AWAY])
@pytest.mark.parametrize("bob", [BESIDE, ELSEWHERE])
async def test_a_visit_ends_whose_device_went_to_somebody_else(
    two: list[RedisState], phone: str, bob: str
) -> None:
    a, b = two
    story = Walk(BOOK, state=a, is_open=True)
    for person in (ANN, bob):
        await amending.grant(a, BOOK, person, "location", {}, NOON_MS)
    await amending.identify(a, BOOK, phone, ANN, NOON_MS)
    await story.post((0, 500), (10, 0), (20, 0), device=phone)
    await amending.identify(b, BOOK, phone, bob, NOON_MS + 30_000)
    story.state = serving(two, ANN)
    told = await story.tick(4_000)
    assert [(e.type, e.person_id) for e in told][-2:] == [
        ("zone.exited", ANN),
        ("visit.closed", ANN),
    ]
    await Walk(BOOK, state=b, is_open=True).post((4_010, 0), device=phone)
    assert (await one(a, bob)).presences.keys() == {"shop"}


async def test_a_device_changes_hands_under_load_and_every_fix_counts_for_somebody(
    two: list[RedisState],
) -> None:
    a, b = two
    names = [ANN, BESIDE, ELSEWHERE]
    for person in (*names, AWAY):
        await amending.grant(a, BOOK, person, "location", {}, NOON_MS)
    counts = {"accepted": 0, "late": 0, "no_consent": 0}

    async def walk(state: RedisState, start_s: int) -> None:
        story = Walk(BOOK, state=state, is_open=True)
        for step in range(40):
            await story.post((start_s + 2 * step, 0), device=AWAY)
        for outcome in story.outcomes:
            for fate in counts:
                counts[fate] += outcome.counts[fate]

    async def pass_on() -> None:
        for turn in range(30):
            await amending.identify((a, b)[turn % 2], BOOK, AWAY, names[turn % 3], NOON_MS)

    await asyncio.gather(walk(a, 0), walk(b, 1), pass_on())
    assert counts["accepted"] + counts["late"] == 80
    owner = (await a.owners([AWAY]))[0]
    assert {await owner_by(a, AWAY), await owner_by(b, AWAY)} == {owner} == {names[29 % 3]}


# --- cut short ----------------------------------------------------------------------------------


@pytest.fixture
async def cut() -> AsyncIterator[tuple[Proxy, RedisState, RedisState]]:
    """A process whose calls may be cut, and another."""
    single: Server = server("valkey")
    where = a_state_of(single.url)
    async with (
        proxying("127.0.0.1", single.port) as proxy,
        processes(proxy.url + where.removeprefix(single.url), 1) as [a],
        processes(where, 1) as [b],
    ):
        yield proxy, a, b


async def ends_at(proxy: Proxy, function: bytes, work: asyncio.Future, *, is_done: bool) -> None:
    """The process ends while it calls a function, which is done or not."""
    lost = proxy.drop_reply(function) if is_done else proxy.drop_request(function)
    task = asyncio.ensure_future(work)
    await lost.wait()
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)


CUTS = [(b"commit_", True), (b"settle_in_", False), (b"settle_in_", True)]


@pytest.mark.parametrize("phone", [HERE, AWAY])
@pytest.mark.parametrize(("function", "is_done"), CUTS)
async def test_a_binding_cut_short_is_made_good_by_who_tries_again(
    cut: tuple[Proxy, RedisState, RedisState], phone: str, function: bytes, is_done: bool
) -> None:
    proxy, a, b = cut
    fired = [Fired("t1", "hello", 5)]
    nameless = located(phone, fired=fired, fired_total={"hello": 1}, devices={phone: 20_000})
    await write(b, located(ANN, fired=[Fired("t2", "hello", 6)], fired_total={"hello": 1}))
    await b.commit(commit_of(change(nameless, due_ms=10), last=last(20_000, phone)))
    await ends_at(proxy, function, amending.identify(a, BOOK, phone, ANN, 0), is_done=is_done)
    await amending.identify(b, BOOK, phone, ANN, 0)
    merged = await one(b, ANN)
    assert sorted(f.trigger_id for f in merged.fired) == ["t1", "t2"]
    assert merged.fired_total == {"hello": 2}
    assert await b.owners([phone]) == [ANN] and await b.load([phone]) == {}
    for state in (a, b):
        known = await state.known(fixes(phone))
        assert (known.person_ids, known.fix_ms.tolist()) == ([ANN], [20_000])
        assert phone not in await state.due(1 << 50)


@pytest.mark.parametrize("phone", [HERE, AWAY])
@pytest.mark.parametrize(("function", "is_done"), CUTS)
async def test_a_binding_cut_short_leaves_nobody_whose_deadline_cannot_be_served(
    cut: tuple[Proxy, RedisState, RedisState], phone: str, function: bytes, is_done: bool
) -> None:
    proxy, a, b = cut
    await amending.grant(b, BOOK, phone, "location", {}, NOON_MS)
    story = Walk(BOOK, state=b, is_open=True)
    await story.post((0, 500), (10, 0), (20, 0), device=phone)
    await ends_at(proxy, function, amending.identify(a, BOOK, phone, ANN, NOON_MS), is_done=is_done)
    await a.close()
    b._leases._until_s = 0.0
    await b._leases._beat()  # what the dead process held is ours
    await story.tick(4_000)
    assert "zone.exited" in kinds(story.events)
    assert await b.due(NOON_MS + 4_000_000) == []


@pytest.mark.parametrize("function", [b"move_out_", b"settle_in_"])
@pytest.mark.parametrize("is_done", [False, True])
async def test_a_change_of_hands_cut_short_leaves_one_answer_to_whose_it_is(
    cut: tuple[Proxy, RedisState, RedisState], function: bytes, is_done: bool
) -> None:
    proxy, a, b = cut
    await write(b, located(ANN), located(ELSEWHERE))
    await amending.identify(b, BOOK, AWAY, ELSEWHERE, 0)
    await b.commit(commit_of(last=last_of(20, AWAY, ELSEWHERE)))
    await ends_at(proxy, function, amending.identify(a, BOOK, AWAY, ANN, 0), is_done=is_done)
    assert [await owner_by(b, AWAY)] == await b.owners([AWAY])
    await amending.identify(b, BOOK, AWAY, ANN, 0)
    assert await owner_by(b, AWAY) == ANN


def last_of(fix_ms: int, device: str, owner: str):
    """The last fix of a device that is somebody's."""
    rows = last(fix_ms, device)
    return type(rows)(
        **{n: getattr(rows, n) for n in rows.__dataclass_fields__} | {"person_ids": [owner]}
    )


@pytest.mark.parametrize("function", [b"move_out_", b"settle_in_", b"leave_home_"])
async def test_who_looks_for_a_device_that_is_changing_hands_does_not_give_it_back(
    cut: tuple[Proxy, RedisState, RedisState], function: bytes
) -> None:
    proxy, a, b = cut
    await write(b, located(ANN), located(ELSEWHERE))
    await amending.identify(b, BOOK, AWAY, ELSEWHERE, 0)
    lost = proxy.drop_request(function)
    identifying = asyncio.ensure_future(amending.identify(a, BOOK, AWAY, ANN, 0))
    waiting = asyncio.ensure_future(lost.wait())
    await asyncio.wait([identifying, waiting], return_when=asyncio.FIRST_COMPLETED)
    proxy.black_hole()
    assert await owner_by(b, AWAY) in (ANN, ELSEWHERE)
    proxy.restore()
    await identifying
    waiting.cancel()
    for state in (a, b):
        assert await owner_by(state, AWAY) == ANN
    places = traces_of(server("valkey"), f"?prefix={b._link.prefix}", AWAY)
    assert not [key for key in places if f"{{p{partition_of(ELSEWHERE)}}}:names" in key]


# --- erased -------------------------------------------------------------------------------------


def traces_of(single: Server, where: str, name: str) -> list[str]:
    """The keys of a state that hold a name anywhere, in their own or in what they keep."""
    found = []
    state_prefix = where.rpartition("=")[2]
    for key in single.call("KEYS", f"{state_prefix}:*"):
        kind = single.call("TYPE", key)
        if kind == "hash":
            kept = repr(single.call("HGETALL", key))
        else:
            kept = repr(single.call("ZRANGE", key, 0, -1))
        if name in key + kept:
            found.append(key)
    return found


async def remembered(state: RedisState, name: str) -> None:
    """Somebody with devices, beacons, visits, messages and decisions."""
    phone, tablet = f"phone of {name}", f"tablet of {name}"
    story = Walk(BOOK, state=state, is_open=True)
    await amending.grant(state, BOOK, name, "location", {"text": f"evidence of {name}"}, NOON_MS)
    await amending.grant(state, BOOK, tablet, "location", {}, NOON_MS)
    await story.post((0, 900), device=tablet)
    for device in (phone, tablet):
        await amending.identify(state, BOOK, device, name, NOON_MS)
    record = await one(state, name)
    record.beacons = [f"{name}:1:2"]
    await state.commit(commit_of(change(record), aliases={f"{name}:1:2": name}))
    await story.post((0, 500), (10, 0), (20, 0), device=phone)
    assert await state.decisions(name) and await state.sends()


async def test_no_key_holds_a_name_that_was_erased() -> None:
    single = server("valkey")
    where = a_state_of(single.url)
    async with processes(where) as [a, b]:
        await remembered(a, "canary")
        await remembered(b, "bystander")
        await b.lease(NOON_MS + 60_000, 5, "w", 1_000)
        assert len(traces_of(single, where, "canary")) > 10
        assert await b.erase("canary", NOON_MS + 70_000)
        assert traces_of(single, where, "canary") == []
        assert await one(a, "bystander")
        for state in (a, b):
            assert await state.owners(["phone of canary"]) == ["phone of canary"]


@pytest.mark.parametrize("function", [b"leave_home_", b"erase_"])
@pytest.mark.parametrize("is_done", [False, True])
async def test_an_erasure_cut_short_and_asked_for_again_leaves_nothing(
    cut: tuple[Proxy, RedisState, RedisState], function: bytes, is_done: bool
) -> None:
    proxy, a, b = cut
    await remembered(b, "canary")
    await ends_at(proxy, function, a.erase("canary", 0), is_done=is_done)
    await b.erase("canary", 0)
    single = server("valkey")
    assert traces_of(single, f"?prefix={b._link.prefix}", "canary") == []


async def test_a_process_that_knew_the_device_of_the_erased_begins_anew(
    two: list[RedisState],
) -> None:
    a, b = two
    await write(a, present(ANN, devices={AWAY: 10}), aliases={AWAY: ANN})
    assert await owner_by(b, AWAY) == ANN
    await a.erase(ANN, 0)
    known = await b.known(fixes(AWAY))
    assert (known.person_ids, known.fix_ms.tolist()) == ([AWAY], [-1])
    assert not known.is_located.any()


async def test_a_record_is_dropped_once_however_often_it_is_said(two: list[RedisState]) -> None:
    a, b = two
    await write(a, located(AWAY))
    drop = Commit(op(), aliases={AWAY: ANN}, drop_people={AWAY: 1})
    await a.commit(drop)
    await b.commit(drop)
    assert await a.load([AWAY]) == {} and await b.owners([AWAY]) == [ANN]
