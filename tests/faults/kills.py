"""Kill the process that holds the embedded state, again and again, and look at what is left.

``python -m tests.faults.kills [--rounds 200] [--seed N]``

A child commits and prints each acknowledgement; it is killed at a random moment; the state is
opened again and compared. All rounds run on one state, so that faults would pile up. This tests
recovery, not durability: see `power_cuts`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path
from subprocess import PIPE, Popen

from geoengine.state.embedded.shelf.sqlite import Tuning
from geoengine.state.local import LocalState
from tests.faults.power_cuts import Tally, integrity_faults
from tests.faults.workload import Acknowledged, faults_of, load

_LIFE_S = (0.01, 0.25)  # from the first acknowledgement to the kill


async def child(path: Path) -> None:
    """Load the state for ever, saying aloud what was acknowledged."""
    # Small, so that the kill often comes while the journal is being filed.
    state = LocalState(path, tuning=Tuning(backlog_bytes=20_000, filed_at_once=100))
    await state.open()
    await load(state, lambda line: _say(line))


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def kill_once(path: Path, rng: random.Random, said: Acknowledged) -> int:
    """Let a child run on the state for a moment and kill it; how much it got acknowledged."""
    command = [sys.executable, "-m", "tests.faults.kills", "--child", str(path)]
    count = 0
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if count == 0:
                threading.Timer(rng.uniform(*_LIFE_S), process.kill).start()
            if line.endswith("\n"):  # the kill may cut the last line short
                said.note(line)
                count += 1
    assert process.returncode == -signal.SIGKILL
    return count


async def kill(rounds: int, seed: int, directory: Path) -> Tally:
    """So many kills on one state."""
    rng = random.Random(seed)
    path = directory / "state.db"
    total, said = Tally(), Acknowledged()
    for number in range(rounds):
        total.acknowledged += await asyncio.to_thread(kill_once, path, rng, said)
        total.rounds += 1
        faults = integrity_faults(path) if number % 10 == 0 else []
        state = LocalState(path)
        await state.open()
        try:
            faults += await faults_of(state, said)
        finally:
            await state.close()
        total.faults += [f"round {number}: {fault}" for fault in faults]
    return total


async def main(rounds: int, seed: int) -> bool:
    """Run the campaign; whether nothing was found."""
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as directory:
        tally = await kill(rounds, seed, Path(directory))
    print(f"kills: {tally}", *tally.faults[:20], sep="\n  ")
    return not tally.faults and tally.acknowledged > 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--child", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(child(arguments.child))
        sys.exit(1)
    sys.exit(0 if asyncio.run(main(arguments.rounds, arguments.seed)) else 1)
