"""The short form of `tests.faults.identity_race`."""

from __future__ import annotations

from geoengine.state.local import LocalState
from tests.faults.identity_race import race


async def test_two_devices_that_are_identified_while_they_fire_count_together() -> None:
    state = LocalState(None)
    await state.open()
    assert await race([state], rounds=60, seed=7) == []
    await state.close()
