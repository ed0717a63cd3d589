"""Two processes, twenty enters of one person at once, a cap of three: never four, always three.

``python -m tests.faults.cap_race [--rounds 10000] [--seed N]``

Each round is a person with twenty devices, each of which comes into a zone of its own and leaves it
again, so that every enter would fire by itself. Half of the enters go through one process and half
through the other, all at the same moment, alone or a few in a batch. Who loses a race is stepped
again on what the winner left. Exits 1 where any round fired another number than three, or told an
enter twice or not at all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch, Outcome
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import Cap
from geoengine.core.record import Consent, Record
from geoengine.state.base import Change, Commit
from geoengine.state.loop import advance
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS, World, a_campaign, a_store, spot
from tests.servers.server import Server, needed

ENTERS, CAP = 20, 3
TRIES_MAX = 20
TELL_EVERY = 500  # rounds
SPACING_M = 1_000  # zones of 100 m that do not touch
AT_ONCE = 8  # people under way: a round waits for the slowest of its enters
# Enters in one batch, drawn from these; in one round of four each goes alone.
BATCHES = ((1,), (1, 2, 3, 5), (1, 2, 3, 5), (1, 2, 3, 5))
BOOK = World(
    stores=[a_store(f"shop{nth}", nth * SPACING_M) for nth in range(ENTERS)],
    campaigns=[a_campaign(caps=[Cap(max=CAP, per="day")], initial=True)],
).book()
INSIDE = [spot(nth * SPACING_M) for nth in range(ENTERS)]
OUTSIDE = [spot(nth * SPACING_M, 500) for nth in range(ENTERS)]
STAY_MS = 30_000  # and no two visits overlap, or they would be one group and share one message


# --- a process ----------------------------------------------------------------------------------


async def child(url: str) -> None:
    """Read who comes in where, let them, and say what was told, until there is no more to read."""
    state = RedisState(url)
    await state.open()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say("ready")
    async with asyncio.TaskGroup() as rounds:
        while line := (await reader.readline()).decode():
            person, *groups = line.split()
            rounds.create_task(_enter_all(state, person, groups))
    await state.close()


async def _enter_all(state: RedisState, person: str, groups: list[str]) -> None:
    posts = await asyncio.gather(*(_post(state, person, group) for group in groups))
    events = Counter(event.type for outcome, _ in posts for event in outcome.events)
    again = sum(tries for _, tries in posts)
    _say(f"{person} {events['zone.entered']} {events['trigger.fired']} {again}")


async def _post(state: RedisState, person: str, group: str) -> tuple[Outcome, int]:
    """As a phone does: what is refused with 503 is sent again; and how often it was."""
    for tries in range(TRIES_MAX):
        with suppress(StateUnavailable):
            return await _enter(state, person, group), tries
        await asyncio.sleep(1.0)
    raise StateUnavailable(f"{TRIES_MAX} times")


async def _enter(state: RedisState, person: str, group: str) -> Outcome:
    """The devices of these numbers report from the middle of their zones, and from far away."""
    numbers = [int(number) for number in group.split(",")]
    places = [where[number] for number in numbers for where in (INSIDE, OUTSIDE)]
    in_ms = np.repeat([NOON_MS + 2 * STAY_MS * number for number in numbers], 2)
    fixes = Fixes.of(
        [f"{person}-{number}" for number in numbers for _ in (INSIDE, OUTSIDE)],
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        in_ms + np.tile([0, STAY_MS], len(numbers)),
        accuracy_m=np.full(len(places), 10.0),
    )
    batch = Batch(fixes, Sightings.empty(), (), int(fixes.fix_ms.max()), is_virtual=True)
    return await advance(state, BOOK, batch)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


# --- the race -----------------------------------------------------------------------------------


@dataclass
class Racer:
    """A child process, and who waits for what it says of whom."""

    process: Process
    answers: dict[str, asyncio.Future[list[int]]] = field(default_factory=dict)

    async def run(self, person: str, groups: list[str]) -> list[int]:
        """Enters told and triggers fired of a person, and posts sent again, once all are in."""
        assert self.process.stdin is not None
        answer = self.answers[person] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(f"{person} {' '.join(groups)}\n".encode())
        return await answer

    async def listen(self) -> None:
        """Hand on what it says, until it says no more."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            person, *counts = line.split()
            self.answers.pop(person).set_result([int(count) for count in counts])
        for answer in self.answers.values():
            answer.set_exception(ConnectionError("the process ended"))


@asynccontextmanager
async def racing(url: str) -> AsyncIterator[Racer]:
    """A child process, ready."""
    command = (sys.executable, "-m", "tests.faults.cap_race", "--child", url)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdin is not None and process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        racer = Racer(process)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(racer.listen())
            yield racer
            process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def groups_of(numbers: list[int], rng: random.Random) -> list[str]:
    """Enters in batches, as posts come together in one."""
    groups, sizes = [], rng.choice(BATCHES)
    while numbers:
        size = rng.choice(sizes)
        groups.append(",".join(map(str, numbers[:size])))
        numbers = numbers[size:]
    return groups


async def one_round(
    state: RedisState, racers: list[Racer], person: str, rng: random.Random
) -> list[str]:
    """One person's race; what was wrong with it."""
    devices = [f"{person}-{number}" for number in range(ENTERS)]
    record = Record(person, consents={"location": Consent(True, 1, 0)})
    record.devices = dict.fromkeys(devices, -1)
    bond = Commit(person, (Change(record, None),), aliases=dict.fromkeys(devices, person))
    await state.commit(bond)
    numbers = list(range(ENTERS))
    rng.shuffle(numbers)
    halves = (numbers[: ENTERS // 2], numbers[ENTERS // 2 :])
    told = await asyncio.gather(
        *(r.run(person, groups_of(half, rng)) for r, half in zip(racers, halves, strict=True))
    )
    entered, fired, again = (sum(counts) for counts in zip(*told, strict=True))
    left = (await state.load([person]))[person]
    said = Counter(decision.outcome for decision in await state.decisions(person))
    seen = {
        # What was done, though its answer was a 503, is told to nobody when it is sent again.
        "enters told": (entered, ENTERS if not again else entered),
        "triggers told": (fired, CAP if not again else fired),
        "triggers counted": (len(left.fired), CAP),
        "decisions to fire": (said["fired"], CAP),
        "decisions against": (said["suppressed"], ENTERS - CAP),
        "zones stood in": (len(left.presences), 0),
    }
    return [f"{person}: {count} {what}" for what, (count, due) in seen.items() if count != due]


async def race(rounds: int, seed: int, url: str) -> list[str]:
    """So many rounds on one state; what was wrong."""
    rng, faults = random.Random(seed), list[str]()
    queue = iter(range(rounds))
    async with AsyncExitStack() as stack:
        state = RedisState(url)
        await state.open()
        stack.push_async_callback(state.close)
        racers = [await stack.enter_async_context(racing(url)) for _ in range(2)]

        async def work() -> None:
            for number in queue:
                faults.extend(await one_round(state, racers, f"p{number}", rng))
                if (number + 1) % TELL_EVERY == 0:
                    print(f"round {number + 1}: {len(faults)} faults so far", flush=True)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        sends = await state.stats()
    if sends.pending_count != CAP * rounds:
        faults.append(f"{sends.pending_count} messages waiting, not {CAP * rounds}")
    return faults


async def main(rounds: int, seed: int) -> bool:
    """Run the campaign; whether nothing was found."""
    print(f"seed {seed}", flush=True)
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(directory=Path(directory), binary=needed("valkey")) as server,
    ):
        faults = await race(rounds, seed, server.url)
    took_s = time.monotonic() - began_s
    print(f"cap race: {rounds} rounds, {len(faults)} faults, {took_s:.0f} s")
    print(*faults[:20], sep="\n")
    return not faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(child(arguments.child))
        sys.exit(0)
    sys.exit(0 if asyncio.run(main(arguments.rounds, arguments.seed)) else 1)
