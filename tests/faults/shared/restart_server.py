"""Kill the server and start it again, under load, again and again.

    python -m tests.faults.shared.restart_server --rounds 100 --seed 1

It syncs what it is told before it answers (``appendonly always``). Both processes of the service
go on and find it again by themselves; whoever was not answered asks again.

``--careless`` runs without the log: what was acknowledged must be missed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.server import Server

LANES = 8
UP_S, DOWN_S, AFTER_S = (0.1, 0.6), (0.0, 0.2), (0.0, 0.3)


async def one_round(trial: Trial, server: Server) -> None:
    """Load, kill, start again under load; hold to account."""
    crowd, rng = trial.crowd, trial.rng
    first = len(crowd.people)
    async with crowd.walking(LANES):
        await asyncio.sleep(rng.uniform(*UP_S))
        await asyncio.to_thread(server.kill)
        trial.count("kills")
        await asyncio.sleep(rng.uniform(*DOWN_S))
        await asyncio.to_thread(server.start)
        await asyncio.sleep(rng.uniform(*AFTER_S))
    await crowd.verify(first)


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    with Server(
        directory=directory / "server",
        binary=binary(),
        appendonly="no" if is_careless else "always",
    ) as server:
        async with trial(directory, seed, rounds, (server.url, server.url)) as now:
            for number in range(1, rounds + 1):
                await one_round(now, server)
                now.done(number)
        return now.crowd


if __name__ == "__main__":
    raise SystemExit(main(__doc__, run))
