"""Lose the server's answers, and now and then the question, again and again.

    python -m tests.faults.shared.lost_replies --rounds 200 --seed 1

A process that was hung up on cannot tell whether what it asked for was done. Each round loses one
call of one kind. Whoever was answered must have been told what the first, lost answer said: the
call is known by its operation's id.

There is no careless form: take the ids out of ``functions/3_commit.lua`` to see it fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path

from geoengine.state.shared.library import library
from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.proxy import Proxy, proxying
from tests.servers.server import Server

LANES = 6
LOSSES = 10  # between two looks at what was acknowledged
WITHIN_S = 5.0  # each function is called that often; `hold` every two seconds
VERSION = hashlib.sha256(library().encode()).hexdigest()[:10]
# What matters most is lost most often.
FUNCTIONS = {
    "commit": 10, "take": 3, "begin": 4, "settle": 4, "look": 2, "load": 2, "home": 2,
    "settle_in": 3, "sweep": 1, "peek": 1, "hold": 1, "begun": 1,
}  # fmt: skip


async def lose(trial: Trial, ways: list[Proxy]) -> None:
    """Lose one call."""
    (function,) = trial.rng.choices(list(FUNCTIONS), list(FUNCTIONS.values()))
    way, pattern = trial.rng.choice(ways), f"{function}_{VERSION}".encode()
    is_reply = trial.rng.random() < 0.75
    lost = way.drop_reply(pattern) if is_reply else way.drop_request(pattern)
    async with asyncio.timeout(WITHIN_S):
        await lost.wait()
    trial.count(f"lost {'answers' if is_reply else 'questions'} of {function}")


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    async with contextlib.AsyncExitStack() as open_:
        server = open_.enter_context(Server(directory=directory / "server", binary=binary()))
        ways = [
            await open_.enter_async_context(proxying(server.place.host, server.port))
            for _ in range(2)
        ]
        async with trial(directory, seed, rounds, [way.url for way in ways]) as now:
            for number in range(1, rounds + 1, LOSSES):
                first = len(now.crowd.people)
                async with now.crowd.walking(LANES):
                    for _ in range(number, min(number + LOSSES, rounds + 1)):
                        await lose(now, ways)
                await now.crowd.verify(first)
                now.done(number)
        return now.crowd


if __name__ == "__main__":
    raise SystemExit(main(__doc__, run, rounds=200))
