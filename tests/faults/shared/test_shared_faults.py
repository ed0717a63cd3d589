"""The short forms of the campaigns on the shared state; the long ones are ``make faults``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults import namespaces
from tests.faults.shared import (
    kill_master,
    kill_worker,
    lost_replies,
    partition,
    restart_server,
    stop_race,
)
from tests.faults.shared.crowd import Crowd
from tests.servers.server import binaries

SEED = 2026
Run = Callable[[int, int, Path, bool], Awaitable[Crowd]]

pytestmark = pytest.mark.skipif(not binaries(), reason="no Redis or Valkey on this machine")


@pytest.mark.parametrize(
    ("run", "rounds"),
    [
        pytest.param(kill_worker.run, 1, id="a worker killed"),
        pytest.param(restart_server.run, 2, id="the server killed and started again"),
        pytest.param(stop_race.run, 1, id="withdrawals against messages"),
        pytest.param(lost_replies.run, 10, id="answers lost"),
        pytest.param(kill_master.run, 1, id="a master killed"),
    ],
)
async def test_what_was_acknowledged_outlives(tmp_path: Path, run: Run, rounds: int) -> None:
    crowd = await run(rounds, SEED, tmp_path, False)
    assert crowd.ledger.faults == [], f"seed {SEED}"
    assert crowd.ledger.seen["acknowledged"] > 10


@pytest.mark.skipif(bool(namespaces.missing()), reason=namespaces.missing())
async def test_what_was_acknowledged_outlives_a_master_cut_off_with_its_clients(
    tmp_path: Path,
) -> None:
    crowd = await partition.run(1, SEED, tmp_path, False)
    assert crowd.ledger.faults == [], f"seed {SEED}"
    assert crowd.ledger.seen["acknowledged"] > 10
