"""Cut the power under the embedded state, again and again, and look at what is left.

``python -m tests.faults.power_cuts [--rounds 200] [--seed N]``

Runs each mode (unsynced writes dropped; unsynced writes torn) for so many rounds, then proves that
the harness can fail: without syncing, acknowledged commits must be lost. Exits 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from geoengine.state.embedded.shelf.sqlite import Tuning
from geoengine.state.local import LocalState
from tests.faults.disks import Countdown, Disk, Mode
from tests.faults.workload import Acknowledged, faults_of, run_until_it_fails

MODES: tuple[Mode, ...] = ("dropped", "torn")
_CUT_AFTER = (10, 3_000)  # operations on the disk, a fifth of them syncs


@dataclass
class Tally:
    """What a series of cuts came to."""

    rounds: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.rounds} rounds, {self.acknowledged} acknowledged, {len(self.faults)} faults"


async def cut_once(directory: Path, rng: random.Random, mode: Mode, synchronous: str) -> Tally:
    """Load a new state, cut the power at some operation, and judge what is left."""
    disk = Disk(f"cut-{rng.random()}", Countdown(rng.randrange(*_CUT_AFTER)))
    tuning = Tuning(
        synchronous=synchronous,
        vfs=disk.name,
        checkpoint_pages=rng.choice((20, 200)),
        backlog_bytes=rng.choice((2_000, 20_000, 1 << 30)),
        filed_at_once=rng.choice((1, 50)),
    )
    before = directory / "before"
    said = Acknowledged()
    await run_until_it_fails(LocalState(before / "state.db", tuning=tuning), said)
    disk.unregister()
    after = directory / "after"
    disk.found_after_power_cut(after, rng, mode)
    faults = await _judge(after / "state.db", said)
    return Tally(1, sum(said.numbers.values()) + len(said.settled), faults)


async def _judge(path: Path, said: Acknowledged) -> list[str]:
    state = LocalState(path)
    try:
        faults = integrity_faults(path)
        await state.open()
    except Exception as error:
        return [f"cannot be opened: {error!r}"]
    try:
        return faults + await faults_of(state, said)
    finally:
        await state.close()


def integrity_faults(path: Path) -> list[str]:
    """What SQLite itself finds wrong with a database."""
    connection = apsw.Connection(str(path))
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()
    return [str(text) for text in found if text != "ok"]


async def cut(rounds: int, seed: int, mode: Mode, synchronous: str = "FULL") -> Tally:
    """So many cuts, each on a state of its own."""
    total = Tally()
    for number in range(rounds):
        rng = random.Random(f"{seed} {mode} {number}")
        with tempfile.TemporaryDirectory() as directory:
            tally = await cut_once(Path(directory), rng, mode, synchronous)
        total.rounds += 1
        total.acknowledged += tally.acknowledged
        total.faults += [f"round {number}: {fault}" for fault in tally.faults]
    return total


async def main(rounds: int, seed: int) -> bool:
    """Run all modes and the counter-proof; whether all is as it should be."""
    print(f"seed {seed}")
    is_well = True
    for mode in MODES:
        tally = await cut(rounds, seed, mode)
        is_well = is_well and not tally.faults and tally.acknowledged > 0
        print(f"power cuts, unsynced writes {mode}: {tally}", *tally.faults[:20], sep="\n  ")
    proof = await cut(max(5, rounds // 20), seed, "dropped", synchronous="OFF")
    print(f"counter-proof without syncing (must lose): {proof}")
    return is_well and any("lost" in fault or "opened" in fault for fault in proof.faults)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(main(arguments.rounds, arguments.seed)) else 1)
