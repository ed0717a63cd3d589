"""Kill a master of a Cluster under load, again and again; its replica succeeds it.

    python -m tests.faults.shared.kill_master --rounds 100 --seed 1

Nothing is acknowledged that only one node holds (WAIT). In half of the rounds the replica is cut
off for a moment before, so that it lacks what its master was told last: killing a master whose
replica keeps up loses nothing on one machine, whatever the service does.

``--careless`` waits for no replica (``?replicas=0``): what was acknowledged must be missed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.shared.campaign import Trial, binary, main, trial
from tests.faults.shared.crowd import Crowd
from tests.servers.cluster import SHARDS, Cluster

LANES = 8
NODE_TIMEOUT_MS = 1_000
BEFORE_S, BEHIND_S, AFTER_S = (0.2, 0.7), (0.05, 0.8), (0.1, 0.4)


async def one_round(trial: Trial, cluster: Cluster) -> None:
    """Load, kill, wait for the successor; hold to account; bring back what was killed."""
    crowd, rng = trial.crowd, trial.rng
    first, shard, is_behind = len(crowd.people), rng.randrange(SHARDS), rng.random() < 0.5
    master = await asyncio.to_thread(cluster.master, shard)
    replica = cluster.replica_of(master)
    async with crowd.walking(LANES):
        await asyncio.sleep(rng.uniform(*BEFORE_S))
        if is_behind:
            replica.pause()  # what has been sent to it already it will read
            await asyncio.to_thread(master.call, "CLIENT", "KILL", "TYPE", "replica")
            await asyncio.sleep(rng.uniform(*BEHIND_S))
            trial.count("replicas behind")
        await asyncio.to_thread(master.kill)
        replica.resume()
        trial.count("kills")
        killed = cluster.nodes.index(master)
        await asyncio.to_thread(cluster.wait_for_successor, killed)
        await asyncio.sleep(rng.uniform(*AFTER_S))
    await crowd.verify(first)
    await asyncio.to_thread(cluster.restart, killed)


async def run(rounds: int, seed: int, directory: Path, is_careless: bool = False) -> Crowd:
    """All rounds on one state."""
    with Cluster(directory / "nodes", binary(), node_timeout_ms=NODE_TIMEOUT_MS) as cluster:
        url = cluster.url + ("?replicas=0" if is_careless else "")
        async with trial(directory, seed, rounds, (url, url)) as now:
            for number in range(1, rounds + 1):
                await one_round(now, cluster)
                now.done(number)
        return now.crowd


if __name__ == "__main__":
    raise SystemExit(main(__doc__, run))
