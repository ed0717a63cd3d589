"""Kill one of two processes of the service under load, again and again.

    python -m tests.faults.shared.kill_worker --rounds 100 --seed 1

The other goes on serving; a third takes the dead one's place. What was in the hands of the dead is
done by the living once they know, 7 to 9 seconds later, so several dead are missed at any time.

``--careless`` takes what was posted for acknowledged, as if nobody could die.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.server import Server

LANES = 8
KILL_AFTER_S = (0.05, 0.5)


async def one_round(trial: Trial) -> None:
    """Load, kill, replace; hold to account."""
    crowd, rng = trial.crowd, trial.rng
    first, victim = len(crowd.people), rng.choice(trial.services)
    async with crowd.walking(LANES):
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
        await victim.kill()
        trial.count("kills")
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
    await victim.start()
    await crowd.verify(first)


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    with Server(directory=directory / "server", binary=binary()) as server:
        urls = (server.url, server.url)
        async with trial(directory, seed, rounds, urls, is_believing=is_careless) as now:
            for number in range(1, rounds + 1):
                await one_round(now)
                now.done(number)
        return now.crowd


if __name__ == "__main__":
    raise SystemExit(main(__doc__, run))
