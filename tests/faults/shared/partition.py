"""Cut a master off together with a process of the service, and heal, again and again.

    python -m tests.faults.shared.partition --rounds 100 --seed 1

One process and a master are on one side of a cable, the other process and the rest of the Cluster
on the other. When nothing passes any more, the master goes on for a while with the clients it has;
the others elect its replica; when the cable is back, what only the old master knew is gone. Phones
and the receiver are heard on both sides.

``--careless`` waits for no replica (``?replicas=0``): what was acknowledged must be missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.faults import namespaces
from tests.faults.namespaces import Cable
from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.cluster import Cluster
from tests.servers.server import Refused, wait_until

LANES = 16
NODE_TIMEOUT_MS = 1_500
BEFORE_S, AFTER_S = (0.2, 0.7), (0.0, 1.0)
FAILOVER_S, TRIES = 6.0, 5  # the server gives one up after five seconds


async def one_round(trial: Trial, cluster: Cluster, cable: Cable) -> None:
    """Load, cut, wait for the successor, heal; hold to account; put the old master back."""
    crowd, rng = trial.crowd, trial.rng
    first = len(crowd.people)
    async with crowd.walking(LANES):
        await asyncio.sleep(rng.uniform(*BEFORE_S))
        await asyncio.to_thread(rng.choice((cable.mute, cable.down)))
        trial.count("cuts")
        await asyncio.to_thread(cluster.wait_for_successor, 0)
        await asyncio.sleep(rng.uniform(*AFTER_S))
        await asyncio.to_thread(cable.up)
    await asyncio.to_thread(cluster.wait_until_ready)
    await crowd.verify(first)
    await asyncio.to_thread(take_back, cluster)


def take_back(cluster: Cluster) -> None:
    """Make the first node the master of its shard again, as an operator would.

    On a busy machine a failover may fail, or come by itself: what counts is who is master then.
    """
    first = cluster.nodes[0]

    def is_master() -> bool:
        return first.info("replication")["role"] == "master"

    for _ in range(TRIES):
        if not is_master():
            with contextlib.suppress(Refused, AssertionError):
                first.call("CLUSTER", "FAILOVER")
                wait_until(is_master, timeout_s=FAILOVER_S)
    assert is_master(), first.said
    cluster.wait_until_ready()


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    with contextlib.ExitStack() as open_:
        near, far, cable = open_.enter_context(namespaces.joined())
        cluster = Cluster(
            directory / "nodes",
            binary(),
            node_timeout_ms=NODE_TIMEOUT_MS,
            places=(near, far, far, far, far, far),
        )
        open_.enter_context(cluster)
        url = cluster.url + ("?replicas=0" if is_careless else "")
        async with trial(directory, seed, rounds, (url, url), places=(near, far)) as now:
            for number in range(1, rounds + 1):
                await one_round(now, cluster, cable)
                now.done(number)
        return now.crowd


if __name__ == "__main__":
    if reason := namespaces.missing():
        raise SystemExit(f"not run: {reason}")
    raise SystemExit(main(__doc__, run))
