"""What is remembered of people, by kind: bytes packed, in the file of the embedded state, and in
the memory of servers.

    python benchmarks/bench_remembered.py [--people 100000]

Every kind is written for so many people, with ids and values drawn from a seed; then the file, or
the server, is asked what it has grown by. Printed, and not kept: the figures stand in
docs/sizing.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import msgspec
from keeping import Server, binaries

from geoengine.core.consent.people import grant
from geoengine.core.ids import digest
from geoengine.core.offers import coupons, redeeming
from geoengine.core.record import Change, Decision, Fact, Record
from geoengine.core.units import DAY_MS, HOUR_MS
from geoengine.state.base import Card, Commit, State
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState

SEED: Final = 7
AT_ONCE: Final = 500
NOW_MS: Final = 1_795_604_400_000  # Tuesday 24 November 2026, 12:00 in Paris
PURPOSES: Final = ("location", "push", "measurement")
PROOF: Final = {
    "source": "api:app", "text_version": "2026-03", "text_hash": 64 * "a", "locale": "fr",
    "by": "app:7c31", "screen": "onboarding-2",
}  # fmt: skip
Row = Record | Decision | Fact | Card
Make = Callable[[random.Random, str], Row]  # of somebody, with values drawn


class Place(NamedTuple):
    """A state that is open, and how many bytes it takes."""

    state: State
    size_bytes: Callable[[], int]


def without_consents(rng: random.Random, person_id: str) -> Record:
    """Somebody with a phone, an address and three attributes, who has agreed to nothing."""
    device = f"{rng.randbytes(16).hex():.36}"
    return Record(
        person_id,
        addresses={"email": f"{rng.randbytes(6).hex()}@example.org"},
        push_tokens={device: ["android", rng.randbytes(71).hex()]},
        attributes={"status": "premium", "points": rng.randrange(900), "city": "Paris"},
        locale="fr",
        devices={device: NOW_MS - rng.randrange(DAY_MS)},
    )


def with_consents(rng: random.Random, person_id: str) -> Record:
    """The same, with what proves the consents."""
    found = without_consents(rng, person_id)
    for purpose in PURPOSES:
        grant(found, purpose, PROOF, NOW_MS - HOUR_MS)
    return found


def decision(rng: random.Random, person_id: str) -> Decision:
    """Why somebody was not told of something."""
    at_ms, store = _when(rng), _where(rng)
    visit = digest(person_id, at_ms)
    return Decision(person_id, at_ms, "afterwork", store, store, visit, "suppressed", "cap:day 2/2")


def fact(rng: random.Random, person_id: str) -> Fact:
    """Three of ten are visits with two places, the others what became of a message."""
    at_ms, store = _when(rng), _where(rng)
    trigger = digest(person_id, at_ms)
    if rng.random() < 0.3:
        told: dict[str, Any] = {"by": "beacon", "confidence": 0.95, "duration_s": 300.0}
        data = told | {"initial": False, "path": [["door", 10.0], ["shoes", 200.0]]}
        return Fact(digest("visit", trigger), "visit", person_id, at_ms, store, data=data)
    names = (person_id, at_ms, store, "afterwork", trigger, digest("came", trigger))
    return Fact(digest("sent", trigger), "sent", *names, {"lever": "push", "variant": ""})


def card(rng: random.Random, person_id: str) -> Card:
    """A coupon's code, given to somebody and not redeemed yet."""
    code, until_ms = rng.randbytes(8).hex().upper(), NOW_MS + 2 * HOUR_MS
    trigger = digest(person_id, code)
    issued = redeeming.Issued(
        code, "unique", "afterwork", trigger, _where(rng), "store", NOW_MS, until_ms, "given"
    )
    name = coupons.card_name(code)
    return Card(name, redeeming.packed(issued), owner=person_id, until_ms=until_ms + 90 * DAY_MS)


def _when(rng: random.Random) -> int:
    return NOW_MS - rng.randrange(28 * DAY_MS)


def _where(rng: random.Random) -> str:
    return f"store-{rng.randrange(500)}"


KINDS: Final[tuple[tuple[str, Make, int], ...]] = (
    ("a record without consents", without_consents, 1),
    (f"a record with {len(PURPOSES)} consents, proven", with_consents, 1),
    ("a decision", decision, 10),
    ("a fact", fact, 10),
    ("a card (a coupon's)", card, 1),
)


async def write(state: State, rows: list[Row]) -> None:
    """Some, durable."""
    if cards := [row for row in rows if isinstance(row, Card)]:
        await asyncio.gather(*(state.put_card(one, NOW_MS) for one in cards))
        return
    changes = tuple(Change(row, None) for row in rows if isinstance(row, Record))
    decisions = tuple(row for row in rows if isinstance(row, Decision))
    facts = tuple(row for row in rows if isinstance(row, Fact))
    await state.commit(Commit("", changes, decisions=decisions, facts=facts, now_ms=NOW_MS))


async def fill(place: Place, make: Make, people: int, each: int) -> float:
    """Write so many of a kind for each of so many; bytes that one of them takes."""
    rng, before = random.Random(SEED), place.size_bytes()
    count = people * each
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await write(place.state, [make(rng, f"customer-{nth % people:09d}") for nth in numbers])
    return (place.size_bytes() - before) / count


@asynccontextmanager
async def on_a_server(name: str) -> AsyncIterator[Place]:
    """A state that is shared, over a server of ours."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(directory=Path(folder), binary=binaries()[name], appendonly="no") as server,
    ):
        state = RedisState(server.url)
        await state.open()
        yield Place(state, lambda: int(server.info("memory")["used_memory"]))
        await state.close()


async def measured(people: int) -> list[list[float]]:
    """Of each kind: bytes packed, in a file, on each server. Each in a state of its own."""
    found = []
    for _name, make, each in KINDS:
        one = make(random.Random(SEED), "customer-000000000")
        body = one.body if isinstance(one, Card) else msgspec.msgpack.encode(one)
        sizes = [float(len(body)), await _on_disk(make, people, each)]
        for server in sorted(binaries(), reverse=True):
            async with on_a_server(server) as place:
                sizes.append(await fill(place, make, people, each))
        found.append(sizes)
    return found


async def _on_disk(make: Make, people: int, each: int) -> float:
    """Bytes of the file that are in use, once the state has been closed and all is filed: what the
    journal took, up to 16 MB, is free again.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, sizes = Path(folder) / "state.db", []
        for kind in (None, make):
            state = LocalState(path)
            await state.open()
            if kind is not None:
                await fill(Place(state, lambda: 0), kind, people, each)
            await state.close()
            sizes.append(_in_use(path))
        return (sizes[1] - sizes[0]) / (people * each)


def _in_use(path: Path) -> int:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as file:
        page_bytes, pages, free = (
            file.execute(f"PRAGMA {name}").get
            for name in ("page_size", "page_count", "freelist_count")
        )
    return int(page_bytes * (pages - free))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--people", type=int, default=100_000)
    people = parser.parse_args().people
    table = asyncio.run(measured(people))
    columns = ["packed", "in a file", *(name.title() for name in sorted(binaries(), reverse=True))]
    out = [
        f"| bytes, of {people:,} people | {' | '.join(columns)} |",
        "|---|" + "--:|" * len(columns),
    ]
    for (name, _make, _each), sizes in zip(KINDS, table, strict=True):
        out.append(f"| {name} | {' | '.join(f'{size:,.0f}' for size in sizes)} |")
    million = [sum(column) for column in zip(*_of_a_person(table), strict=True)]
    told = " | ".join(f"{size:,.1f} GB" for size in million)
    out.append(f"| a million people: a record, ten decisions, ten facts, a card | {told} |")
    sys.stdout.write("\n".join(out) + "\n")


def _of_a_person(table: list[list[float]]) -> list[list[float]]:
    """Kilobytes that one person takes, by kind."""
    _bare, *kinds = zip(KINDS, table, strict=True)
    return [[each * size / 1e3 for size in sizes] for (_n, _make, each), sizes in kinds]


if __name__ == "__main__":
    main()
