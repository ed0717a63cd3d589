"""One person, two devices that are identified while they fire, a cap of two: counted together.

In each round two devices that belong to nobody yet come into six zones, each of which would fire by
itself, and while they do both are said to be the same person's. Whatever is lost in a merge, or
counted twice, shows: the person's record must hold every trigger of both devices and of itself,
once; what fired after the first of them was identified must fit under what that one left of the
cap; and what comes after everything must not fire any more where the cap is reached.

    python -m tests.faults.identity_race --rounds 10000
    python -m tests.faults.identity_race --rounds 1000 --redis
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.core.model import Cap
from geoengine.core.record import Consent, Decision, Record
from geoengine.state.amending import identify
from geoengine.state.base import Change, Commit, State
from geoengine.state.local import LocalState
from geoengine.state.loop import advance
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS, World, a_campaign, a_store, spot
from tests.servers.server import Server, needed

CAP, ENTERS = 2, 6  # of both devices together while they are identified; two more come after
BREATHS_MAX = 60  # turns of the loop before a device is identified; its enters take as many
AT_ONCE = 8
TELL_EVERY = 1_000
SPACING_M, STAY_MS = 1_000, 30_000  # zones that do not touch, visits that do not overlap
BOOK = World(
    stores=[a_store(f"shop{nth}", nth * SPACING_M) for nth in range(ENTERS + 2)],
    campaigns=[a_campaign(caps=[Cap(max=CAP, per="day")], initial=True)],
).book()


async def enter(state: State, device_id: str, number: int) -> list[Decision]:
    """A device reports from the middle of a zone, and from far away; what was decided."""
    places = [spot(number * SPACING_M), spot(number * SPACING_M, 500)]
    in_ms = NOON_MS + 2 * STAY_MS * number
    fixes = Fixes.of(
        [device_id] * 2,
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        np.array([in_ms, in_ms + STAY_MS]),
        accuracy_m=np.full(2, 10.0),
    )
    batch = Batch(fixes, Sightings.empty(), (), in_ms + STAY_MS, is_virtual=True)
    return (await advance(state, BOOK, batch)).decisions


def fired(decisions: list[Decision], person_id: str = "") -> list[str]:
    """The triggers that fired, for somebody or anybody."""
    return [
        one.trigger_id
        for one in decisions
        if one.outcome == "fired" and person_id in ("", one.person_id)
    ]


async def one_round(states: list[State], person: str, rng: random.Random) -> list[str]:
    """Two devices and their person; what was wrong."""
    devices = [f"{person}-a", f"{person}-b"]
    for name in devices:
        record = Record(name, consents={"location": Consent(True, 1, NOON_MS)})
        await states[0].commit(Commit(f"new {name}", (Change(record, None),)))
    decisions: list[Decision] = []
    order: list[str] = []  # devices as they were identified

    async def walk(nth: int) -> None:
        for number in range(nth, ENTERS, 2):
            decisions.extend(await enter(rng.choice(states), devices[nth], number))

    async def become(nth: int) -> None:
        for _ in range(rng.randrange(BREATHS_MAX)):
            await asyncio.sleep(0)
        await identify(rng.choice(states), BOOK, devices[nth], person, NOON_MS)
        order.append(devices[nth])

    await asyncio.gather(walk(0), walk(1), become(0), become(1))
    before = fired(decisions)
    for nth, name in enumerate(devices):
        decisions += await enter(states[0], name, ENTERS + nth)
    return await _faults(states[0], person, devices, order, decisions, before)


async def _faults(
    state: State,
    person: str,
    devices: list[str],
    order: list[str],
    decisions: list[Decision],
    before: list[str],
) -> list[str]:
    left = await state.load([person, *devices])
    record, triggers = left[person], fired(decisions)
    own = len(fired(decisions, person))
    room = max(CAP - len(fired(decisions, order[0])), 0)
    each = {name: len(fired(decisions, name)) for name in (*devices, person)}
    seen = {
        "triggers told twice": len(triggers) - len(set(triggers)),
        "triggers lost or counted twice": len(
            set(triggers).symmetric_difference(one.trigger_id for one in record.fired)
        )
        + abs(len(record.fired) - len(triggers)),
        "a total that is another one": abs(sum(record.fired_total.values()) - len(triggers)),
        "fired over the cap of one name": max(0, max(each.values()) - CAP),
        "fired over what the first had left": max(0, own - room),
        "fired after the cap was reached": len(triggers) - len(before) if len(before) >= CAP else 0,
        "devices with a record still": len(left) - 1,
        "a merge that was not noted": 2 - len(record.merges),
    }
    return [f"{person}: {count} {what}" for what, count in seen.items() if count]


async def race(states: list[State], rounds: int, seed: int) -> list[str]:
    """So many rounds; what was wrong."""
    rng, faults = random.Random(seed), list[str]()
    queue = iter(range(rounds))

    async def work() -> None:
        for number in queue:
            faults.extend(await one_round(states, f"p{number}", rng))
            if (number + 1) % TELL_EVERY == 0:
                print(f"round {number + 1}: {len(faults)} faults so far", flush=True)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return faults


async def main(rounds: int, seed: int, *, is_shared: bool) -> bool:
    """Run the campaign; whether nothing was found."""
    print(f"seed {seed}", flush=True)
    began_s = time.monotonic()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        states: list[State] = [LocalState(directory / "state.db")]
        if is_shared:
            server = stack.enter_context(Server(directory=directory, binary=needed("valkey")))
            states = [RedisState(server.url), RedisState(server.url)]
        for state in states:
            await state.open()
            stack.push_async_callback(state.close)
        faults = await race(states, rounds, seed)
    took_s = time.monotonic() - began_s
    print(f"identity race: {rounds} rounds, {len(faults)} faults, {took_s:.0f} s")
    print(*faults[:20], sep="\n")
    return not faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--redis", action="store_true")
    told = parser.parse_args()
    sys.exit(0 if asyncio.run(main(told.rounds, told.seed, is_shared=told.redis)) else 1)
