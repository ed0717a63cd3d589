"""The short form of `tests.faults.coupon_races`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from geoengine.state.local import LocalState
from tests.faults.coupon_races import claim_race, redeem_race, shared_races
from tests.servers.shared import server
from tests.state.sharing import a_state_of


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[LocalState]:
    """An open embedded state."""
    opened = LocalState(tmp_path / "state.db")
    await opened.open()
    yield opened
    await opened.close()


async def test_a_coupon_at_many_tills_is_redeemed_once(state: LocalState) -> None:
    assert await redeem_race(state, rounds=25, seed=7) == []


async def test_a_pool_under_fifty_claimants_gives_each_code_once(state: LocalState) -> None:
    assert await claim_race(state, rounds=1, seed=7) == []


async def test_two_processes_redeem_and_claim_each_code_once() -> None:
    assert await shared_races(a_state_of(server("valkey").url), rounds=3, seed=7) == []
