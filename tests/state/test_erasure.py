"""An erased person leaves no row and no byte behind."""

from __future__ import annotations

import random
from pathlib import Path

from geoengine.core.record import Consent, Fact, Record
from geoengine.core.units import DAY_MS
from geoengine.state import amending
from geoengine.state.base import Card, Settlement
from geoengine.state.local import LocalState
from tests.core.world import World as Shops
from tests.state.backends import World
from tests.state.samples import (
    change,
    commit_of,
    decision,
    everybody,
    fixes,
    last,
    located,
    one,
    present,
    send,
    write,
)

BOOK = Shops().book()


async def test_an_erased_person_leaves_no_row_behind(world: World) -> None:
    state = world.state
    await state.commit(commit_of(last=last(10, "phone", "tablet", "bystander")))
    await state.commit(
        commit_of(
            change(present("ann", devices={"phone": 10, "tablet": 9}), due_ms=5),
            sends=tuple(send(s, due_ms=0) for s in ("s1", "s2", "s3")),
            decisions=(decision("ann", 1),),
            aliases={"phone": "ann", "uuid:1:2": "ann"},
        )
    )
    await write(state, Record("bob"), decisions=(decision("bob", 1),), sends=(send("b1", "bob"),))
    await state.lease(0, 2, "w", 1_000)
    await state.settle([Settlement("s1", "delivered")], "w", 1)
    assert await state.erase("ann", 2) is True
    assert await state.load(["ann"]) == {}
    assert await state.due(DAY_MS) == []
    assert await state.owners(["phone", "uuid:1:2"]) == ["phone", "uuid:1:2"]
    assert [row.send.send_id for row in await state.sends()] == ["b1"]
    assert await state.decisions("ann") == []
    assert await state.settle([Settlement("s2", "delivered")], "w", 3) == []
    known = await state.known(fixes("phone", "tablet", "bystander"))
    assert known.fix_ms.tolist() == [-1, -1, 10]
    stats = await state.stats()
    assert (stats.record_count, stats.pending_count, stats.decision_count) == (1, 1, 1)
    assert await everybody(state) == ["bob"]


async def test_erasing_a_stranger_says_so(world: World) -> None:
    assert await world.state.erase("nobody", 0) is False


async def test_what_stood_under_a_name_that_became_the_persons_goes_with_them(
    world: World,
) -> None:
    state = world.state
    await state.put_card(Card("code/1", b"x", owner="phone"), 0)
    await state.put_card(Card("code/2", b"x", owner="ann"), 0)
    await write(state, located("phone"), facts=(Fact("v1", "visit", "phone", 1),))
    await amending.identify(state, BOOK, "phone", "ann", now_ms=2)
    await write(state, facts=(Fact("v2", "visit", "ann", 3),))
    assert [fact.id for fact in await amending.facts(state, "ann", 9)] == ["v2", "v1"]
    assert await amending.erase(state, "ann", 4) is True
    assert await state.cards(["code/1", "code/2"]) == {}
    assert (await state.history(0, 9)).items == []
    stats = await state.stats()
    assert (stats.card_count, stats.fact_count) == (0, 0)


async def test_an_erased_person_may_come_back_as_somebody_new(world: World) -> None:
    await write(world.state, Record("ann", locale="fr"))
    await world.state.erase("ann", 0)
    await write(world.state, Record("ann"))
    assert (await one(world.state, "ann")).locale == ""


async def test_an_erased_person_leaves_no_byte_in_any_file(tmp_path: Path) -> None:
    # With this seed SQLite, left to itself, keeps bytes of the erased in rearranged pages.
    rng = random.Random(104)
    state = LocalState(tmp_path / "state.db")
    await state.open()
    await _fill(state, rng)
    await state.close()
    state = LocalState(tmp_path / "state.db")
    await state.open()
    assert _occurrences(tmp_path) > 0
    others = [name for name in await everybody(state) if name.startswith("person")]
    for number in rng.sample(range(40), 40):
        await state.erase(f"canary-{number}", 0)
    assert _occurrences(tmp_path) == 0
    assert await everybody(state) == others
    await state.close()
    assert _occurrences(tmp_path) == 0


async def _fill(state: LocalState, rng: random.Random) -> None:
    """People of all sizes, rewritten many times over, so that pages split, merge and overflow."""
    names = [f"person-{i}" for i in range(200)] + [f"canary-{i}" for i in range(40)]
    for turn in range(1_500):
        name = rng.choice(names)
        record = (await state.load([name])).get(name) or Record(name)
        record.attributes = {"note": f"note of {name} " * rng.choice((1, 20, 120, 600))}
        record.addresses = {"sms": f"number of {name}"}
        record.consents["sms"] = Consent(True, turn, turn, {"text": f"evidence of {name}"})
        record.devices[f"phone of {name}"] = turn
        sends = (send(f"send-{turn}", name, address=f"to {name}"),)
        await state.commit(
            commit_of(
                change(record, turn, is_durable=turn % 4 > 0),
                sends=sends if turn % 4 else (),
                decisions=(decision(name, turn, f"for {name}"),) if turn % 4 else (),
                facts=(Fact(f"{turn} {name}", "visit", name, turn),) if turn % 4 else (),
                aliases={f"phone of {name}": name} if turn % 4 else {},
                last=last(turn, f"phone of {name}"),
                op_id=f"operation {turn} of {name}",
            )
        )


def _occurrences(directory: Path) -> int:
    return sum(file.read_bytes().count(b"canary-") for file in directory.iterdir())
