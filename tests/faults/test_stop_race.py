"""STOP against a message in flight; `stop_race` runs more rounds."""

from __future__ import annotations

from geoengine.state.local import LocalState
from tests.faults.stop_race import race

SEED, ROUNDS = 20_261_122, 300


async def test_no_message_reaches_a_number_that_was_answered_its_stop():
    state = LocalState(None)
    await state.open()
    history = await race([state], ROUNDS, SEED)
    await state.close()
    assert history.broken == [], f"seed {SEED}"
    assert len(history.answered) == ROUNDS
    assert ROUNDS * 0.05 < len(history.started) < ROUNDS * 0.95, "some won, some lost"


async def test_without_waiting_for_what_is_on_its_way_the_promise_would_be_broken():
    state = LocalState(None)
    await state.open()
    history = await race([state], ROUNDS, SEED, is_patient=False)
    await state.close()
    assert history.broken
