"""Kill one of two processes of the service under load, again and again.

    python -m tests.faults.shared.kill_worker --rounds 100 --seed 1

The other goes on serving; a third takes the dead one's place. What was in the hands of the dead is
done by the living once they know, 7 to 9 seconds later, so several dead are missed at any time.

``--believing`` counts what was posted as acknowledged, which it was not: that must be found out.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path

from tests.faults.ledger import Ledger, conclude, parser, progress, receiver
from tests.faults.shared.account import account
from tests.faults.shared.crowd import Crowd
from tests.faults.shared.services import CATALOGUE, Service, serving
from tests.servers.server import Server, binaries

LANES = 8
KILL_AFTER_S = (0.05, 0.5)
DRAIN_S = 90.0


async def one_round(crowd: Crowd, services: list[Service]) -> None:
    """Load, kill, replace; hold to account."""
    rng, first = crowd.ledger.rng, len(crowd.people)
    victim = rng.choice(services)
    async with crowd.walking(LANES):
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
        await victim.kill()
        crowd.ledger.seen["kills"] += 1
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
    await victim.start()
    await crowd.verify(first)


async def run(rounds: int, seed: int, directory: Path, *, is_believing: bool = False) -> Crowd:
    """All rounds on one state."""
    ledger = Ledger(random.Random(seed))
    async with contextlib.AsyncExitStack() as open_:
        server = Server(directory=directory / "server", binary=next(iter(binaries().values())))
        open_.enter_context(server)
        port = await open_.enter_async_context(receiver(ledger))
        services = [
            Service(directory / name, CATALOGUE.format(port=port), server.url) for name in "ab"
        ]
        async with serving(ledger, *services) as lines:
            crowd = Crowd(ledger, lines, is_believing=is_believing)
            for number in range(1, rounds + 1):
                await one_round(crowd, services)
                progress(number, rounds, f"{len(crowd.people)} people")
            await crowd.settle(DRAIN_S)
        await account(ledger, server.url)
    return crowd


def main() -> int:
    """Run, and say what was found."""
    options = parser(__doc__, rounds=100)
    options.add_argument("--believing", action="store_true")
    given, began_s = options.parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        crowd = asyncio.run(run(given.rounds, given.seed, Path(name), is_believing=given.believing))
    return conclude(crowd.ledger, given.seed, len(crowd.people), began_s)


if __name__ == "__main__":
    raise SystemExit(main())
