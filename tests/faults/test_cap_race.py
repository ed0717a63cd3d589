"""The short form of `tests.faults.cap_race`."""

from __future__ import annotations

from tests.faults.cap_race import race
from tests.servers.shared import server
from tests.state.sharing import a_state_of


async def test_twenty_enters_over_two_processes_fire_as_often_as_the_cap_allows() -> None:
    assert await race(rounds=25, seed=7, url=a_state_of(server("valkey").url)) == []
