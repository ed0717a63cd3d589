"""The short form of `tests.faults.kill_service`."""

from __future__ import annotations

from pathlib import Path

from tests.faults.kill_service import run


async def test_a_killed_service_keeps_what_it_acknowledged_and_fires_nothing_twice(
    tmp_path: Path,
) -> None:
    campaign = await run(rounds=3, seed=7, directory=tmp_path)
    assert campaign.seen["kills"] == 3
    assert len(campaign.people) > 20
    assert not campaign.faults
