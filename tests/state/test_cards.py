"""Cards: named, compared and swapped, owned by somebody, and gone when they have had their day."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.state.agreeing import amend_card
from geoengine.state.base import CARD_BYTES_MAX, Card, State
from geoengine.state.local import LocalState
from tests.state.backends import World
from tests.state.samples import everybody, write

RACERS = 100


async def card_of(state: State, name: str) -> Card:
    return (await state.cards([name]))[name]


async def put(state: State, name: str, body: bytes = b"x", **parts: object) -> Card:
    return await state.put_card(Card(name, body, **parts), now_ms=0)  # type: ignore[arg-type]


async def outcome_of(state: State, card: Card) -> Card | None:
    """The card as it is now, or nothing where another one was faster."""
    try:
        return await state.put_card(card, now_ms=0)
    except StateConflict as conflict:
        assert conflict.people == [card.name]
        return None


async def all_cards(state: State, prefix: str, limit: int) -> list[Card]:
    """Every card on every page, once."""
    found, start = {}, ""
    while True:
        page = await state.cards_from(prefix, start, limit)
        found.update((card.name, card) for card in page.cards)
        if not (start := page.next):
            return [found[name] for name in sorted(found)]


async def test_a_card_is_found_as_it_was_put(world: World) -> None:
    state = world.state
    kept = await put(state, "code/1", b"\x00free\xff", owner="ann", until_ms=9)
    assert kept == Card("code/1", b"\x00free\xff", kept.version, "ann", 9) and kept.version > 0
    assert await state.cards(["code/1", "code/2", "code/1"]) == {"code/1": kept}
    later = await state.put_card(replace(kept, body=b"given"), now_ms=1)
    assert later.version > kept.version
    assert await card_of(state, "code/1") == later


async def test_a_card_of_another_version_is_not_written(world: World) -> None:
    state = world.state
    first = await put(state, "code/1", b"first")
    for stale in (Card("code/1", b"new"), replace(first, version=first.version + 1, body=b"later")):
        assert await outcome_of(state, stale) is None
    assert await outcome_of(state, Card("code/2", b"of nothing", version=3)) is None
    assert await state.cards(["code/1", "code/2"]) == {"code/1": first}


async def test_an_empty_body_takes_a_card_away(world: World) -> None:
    state = world.state
    card = await put(state, "code/1")
    assert (await state.put_card(replace(card, body=b""), now_ms=0)).body == b""
    assert await state.cards(["code/1"]) == {}
    assert (await state.stats()).card_count == 0
    assert (await state.put_card(Card("code/1", b""), now_ms=0)).body == b""  # nor a second time
    assert await outcome_of(state, replace(card, body=b"")) is None


@pytest.mark.parametrize("way", ["taken away", "erased", "had its day"])
async def test_what_was_made_of_a_card_that_is_gone_is_not_put_in_place_of_a_new_one(
    busy_world: World, way: str
) -> None:
    state = busy_world.state
    stale = await put(state, "code/1", owner="ann", until_ms=5)
    if way == "taken away":
        await state.put_card(replace(stale, body=b""), now_ms=0)
    elif way == "erased":
        await state.erase("ann", 0)
    else:
        await state.trim(6, 0)
    anew = await put(state, "code/1", b"anew")
    assert anew.version > stale.version
    assert await outcome_of(state, replace(stale, body=b"stale")) is None
    assert await card_of(state, "code/1") == anew


async def test_of_a_hundred_who_put_one_version_exactly_one_wins(busy_world: World) -> None:
    state = busy_world.state
    card = Card("pool/1", b"")
    for _ in range(5):
        racers = [replace(card, body=b"%d" % number) for number in range(RACERS)]
        told = await asyncio.gather(*(outcome_of(state, racer) for racer in racers))
        (winner,) = [one for one in told if one is not None]
        card = await card_of(state, "pool/1")
        assert card == winner and card.body == racers[told.index(winner)].body


async def test_a_hundred_who_each_take_one_from_a_pool_take_a_hundred(busy_world: World) -> None:
    state = busy_world.state
    await put(state, "pool/1", b",".join(b"%d" % number for number in range(RACERS)))
    taken: list[bytes] = []

    async def take() -> None:
        mine = [b""]

        def first_off(card: Card) -> Card:
            mine[0], _, rest = card.body.partition(b",")
            return replace(card, body=rest)

        await amend_card(state, "pool/1", first_off, now_ms=0)
        taken.append(mine[0])

    await asyncio.gather(*(take() for _ in range(RACERS)))
    assert sorted(map(int, taken)) == list(range(RACERS))
    assert await state.cards(["pool/1"]) == {}


async def test_amending_begins_with_an_empty_card_and_may_leave_it_be(world: World) -> None:
    state = world.state
    seen: list[Card] = []
    untouched = await amend_card(state, "code/1", lambda card: seen.append(card), now_ms=0)
    assert untouched == Card("code/1", b"") == seen[0]
    assert await state.cards(["code/1"]) == {}
    kept = await amend_card(state, "code/1", lambda card: replace(card, body=b"1"), now_ms=0)
    assert await card_of(state, "code/1") == kept
    assert await amend_card(state, "code/1", lambda card: None, now_ms=0) == kept


async def test_cards_of_a_kind_come_page_by_page(world: World) -> None:
    state = world.state
    names = [f"code/{number:03}" for number in range(130)]
    for name in [*names, "codes/1", "cod", "stop/1"]:
        await put(state, name, name.encode())
    assert [card.name for card in await all_cards(state, "code/", 25)] == names
    assert [card.body for card in await all_cards(state, "stop/", 25)] == [b"stop/1"]
    assert len(await all_cards(state, "", 1_000)) == 133
    assert await all_cards(state, "none/", 10) == []


async def test_a_card_that_is_there_throughout_is_on_a_page_while_others_come_and_go(
    busy_world: World,
) -> None:
    state = busy_world.state
    names = [f"code/{number:03}" for number in range(60)]
    held = {name: await put(state, name) for name in names}
    found, start, turn = set[str](), "", 0
    while True:
        page = await state.cards_from("code/", start, 7)
        found.update(card.name for card in page.cards)
        turn += 1
        await put(state, f"code/{turn:03}a")
        await state.put_card(replace(held[names[2 * turn]], body=b""), now_ms=0)
        card = held[names[2 * turn + 1]]
        await state.put_card(replace(card, body=b"put again"), now_ms=0)
        if not (start := page.next):
            break
    gone = {names[2 * number] for number in range(1, turn + 1)}
    assert set(names) - gone <= found


async def test_a_card_goes_after_its_end_and_not_before(world: World) -> None:
    state = world.state
    await put(state, "code/1", until_ms=5)
    await put(state, "code/2", until_ms=6)
    kept = await put(state, "code/3")
    assert await state.trim(5, 0) == 0
    assert await state.trim(6, 0) == 1
    assert set(await state.cards(["code/1", "code/2", "code/3"])) == {"code/2", "code/3"}
    assert await state.trim(1 << 45, 0) == 1
    assert await all_cards(state, "", 10) == [kept]
    assert (await state.stats()).card_count == 1


async def test_a_card_whose_end_was_moved_stays(world: World) -> None:
    state = world.state
    card = await put(state, "code/1", until_ms=5)
    card = await state.put_card(replace(card, until_ms=50), now_ms=0)
    assert await state.trim(6, 0) == 0
    card = await state.put_card(replace(card, until_ms=0), now_ms=0)
    assert await state.trim(60, 0) == 0
    await state.put_card(replace(card, until_ms=70), now_ms=0)
    assert await state.trim(80, 0) == 1
    assert await state.cards(["code/1"]) == {}


async def test_cards_go_with_their_owner_and_nobody_elses(world: World) -> None:
    state = world.state
    card = await put(state, "code/1", owner="ann")
    passed_on = await put(state, "code/2", owner="ann")
    await put(state, "code/3", owner="bob")
    await put(state, "code/4")
    await state.put_card(replace(passed_on, owner="bob"), now_ms=0)
    await state.put_card(replace(card, body=b"y"), now_ms=0)
    assert await state.erase("ann", 0) is True
    assert [one.name for one in await all_cards(state, "", 10)] == ["code/2", "code/3", "code/4"]
    assert await state.cards(["code/1"]) == {}
    assert await state.erase("ann", 0) is False
    assert await state.erase("bob", 0) is True
    assert [one.name for one in await all_cards(state, "", 10)] == ["code/4"]


async def test_the_cards_of_an_owner_are_told_by_name_and_nobody_elses(world: World) -> None:
    state = world.state
    await put(state, "order/1", owner="ann")
    mine = await put(state, "code/1", b"mine", owner="ann", until_ms=9)
    passed_on = await put(state, "code/2", owner="ann")
    for name, owner in (("code/3", "annie"), ("code/4", "an"), ("code/5", "")):
        await put(state, name, owner=owner)
    assert [card.name for card in await state.cards_of("ann")] == ["code/1", "code/2", "order/1"]
    assert (await state.cards_of("ann"))[0] == mine
    await state.put_card(replace(passed_on, owner="bob"), now_ms=0)
    await state.put_card(replace(mine, body=b""), now_ms=0)
    assert [card.name for card in await state.cards_of("ann")] == ["order/1"]
    assert [card.name for card in await state.cards_of("bob")] == ["code/2"]
    assert await state.cards_of("nobody") == await state.cards_of("") == []
    await state.erase("ann", 1)
    assert await state.cards_of("ann") == []


async def test_a_card_put_amid_an_erasure_of_its_owner_is_kept_whole_or_gone_whole(
    busy_world: World,
) -> None:
    state = busy_world.state
    for turn in range(5):
        card = await put(state, f"code/{turn}", owner="ann")
        again, _ = await asyncio.gather(
            outcome_of(state, replace(card, body=b"again")), state.erase("ann", 0)
        )
        # Whoever was first: the erased card does not come back by what was made of it.
        assert await state.cards([card.name]) == {}
        assert again is None or again.body == b"again"


async def test_cards_are_no_people(world: World) -> None:
    await put(world.state, "code/1", owner="ann")
    assert await everybody(world.state) == []
    assert await world.state.load(["ann", "code/1"]) == {}


async def test_beyond_its_bound_a_file_takes_no_new_card(tmp_path: Path) -> None:
    for _ in ("as new", "as counted at the start"):
        state = LocalState(tmp_path / "state.db", card_limit=3)
        await state.open()
        for name in ("code/1", "code/2", "code/3"):
            await amend_card(state, name, lambda card: replace(card, body=b"x"), now_ms=0)
        with pytest.raises(StateUnavailable, match="3 cards already"):
            await put(state, "code/4")
        await state.close()
    await state.open()
    await state.put_card(replace(await card_of(state, "code/1"), body=b""), now_ms=0)
    await put(state, "code/4")
    await state.close()


async def test_a_card_outlives_a_restart(busy_world: World) -> None:
    kept = await put(busy_world.state, "code/1", b"body", owner="ann", until_ms=7)
    await busy_world.restart()
    assert await busy_world.state.cards(["code/1"]) == {"code/1": kept}


@pytest.mark.parametrize(
    "card",
    [
        Card("", b"x"),
        Card("code/1", bytes(CARD_BYTES_MAX + 1)),
        Card("code/\ud800", b"x"),
        Card("code/1", b"x", until_ms=-1),
    ],
)
async def test_what_no_state_could_keep_is_refused(busy_world: World, card: Card) -> None:
    with pytest.raises(ValueError):
        await busy_world.state.put_card(card, now_ms=0)
    largest = Card("code/é\n", bytes(CARD_BYTES_MAX))
    kept = await busy_world.state.put_card(largest, now_ms=0)
    assert await card_of(busy_world.state, "code/é\n") == kept


async def test_ten_thousand_claims_by_fifty_at_once_give_each_code_to_one(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.db")
    await state.open()
    given: list[str] = []

    async def claim(code: Card, claimant: int) -> None:
        """Load it, give it away if it is free; whoever was slower goes without."""
        there = (await state.cards([code.name]))[code.name]
        if there.body == b"free" and await outcome_of(state, replace(there, body=b"%d" % claimant)):
            given.append(code.name)

    for turn in range(200):
        code = await put(state, f"code/{turn}", b"free")
        await asyncio.gather(*(claim(code, claimant) for claimant in range(50)))
    assert sorted(given) == sorted(f"code/{turn}" for turn in range(200))
    await state.close()


def _occurrences(directory: Path, what: bytes) -> int:
    return sum(file.read_bytes().count(what) for file in directory.iterdir())


async def test_no_byte_of_an_erased_owners_cards_is_left_in_any_file(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.db")
    await state.open()
    await write(state)
    for number in range(300):
        owner = ("canary-1", "bob")[number % 2]
        card = await put(state, f"code/{number}", b"of %s " % owner.encode() * 40, owner=owner)
        await state.put_card(replace(card, body=card.body + b"!"), now_ms=0)
        if number == 150:
            await state.close()
            state = LocalState(tmp_path / "state.db")
            await state.open()
    await state.erase("canary-1", 0)
    assert _occurrences(tmp_path, b"canary-1") == 0
    assert _occurrences(tmp_path, b"of bob") > 0
    assert len(await all_cards(state, "", 1_000)) == 150
    await state.close()
