"""Withdraw through one process at about the moment when another sends, again and again.

    python -m tests.faults.shared.stop_race --rounds 100 --seed 1

A message is due as soon as somebody walks in, and whichever process serves their partition sends
it. The withdrawal comes at any moment around that, by either process, and once it is answered the
receiver must hear nothing more. For one of the processes the way to the server is long: it acts
upon what has changed since.

``--careless`` does not wait for messages on their way: some must be caught that start too late.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.proxy import Proxy, proxying
from tests.servers.server import Server

LANES = 8
PEOPLE = 24  # a round
DELAY_S = (0.02, 0.06)  # one way
SOON_S, CALLS = 0.3, 12  # how soon a message starts: it is looked for, taken, begun
LATE_S = 0.3  # what is sent after the answer has come by then
IMPATIENT = {"GEOENGINE_QUIESCE_S": "0.001"}


async def one_round(trial: Trial, ways: list[Proxy]) -> None:
    """Walk in, withdraw, wait for what must not come."""
    crowd = trial.crowd
    first = len(crowd.people)
    for way in ways:
        way.restore()
    delay_s = trial.rng.uniform(*DELAY_S)
    trial.rng.choice(ways).delay_s = delay_s
    crowd.stop_within_s = SOON_S + CALLS * delay_s
    async with crowd.walking(LANES):
        while len(crowd.people) < first + PEOPLE:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    await asyncio.gather(*crowd.stopping)
    await asyncio.sleep(LATE_S)
    await crowd.verify(first)


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    async with contextlib.AsyncExitStack() as open_:
        server = open_.enter_context(Server(directory=directory / "server", binary=binary()))
        ways = [
            await open_.enter_async_context(proxying(server.place.host, server.port))
            for _ in range(2)
        ]
        settings = IMPATIENT if is_careless else {}
        async with trial(
            directory, seed, rounds, [way.url for way in ways],
            kinds=Counter(stopped=1), settings=settings,
        ) as now:  # fmt: skip
            for number in range(1, rounds + 1):
                await one_round(now, ways)
                now.done(number)
            for way in ways:
                way.restore()
        return now.crowd


if __name__ == "__main__":
    raise SystemExit(main(__doc__, run))
