"""STOP against a message in flight; `stop_race` runs more rounds."""

from __future__ import annotations

from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.faults.stop_race import race
from tests.servers.shared import server
from tests.state.sharing import a_state_of

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


async def test_nor_where_one_process_hears_the_stop_and_another_one_sends():
    url = a_state_of(server("valkey").url)
    states = [RedisState(url), RedisState(url)]
    for state in states:
        await state.open()
    history = await race([*states], 60, SEED)
    for state in states:
        await state.close()
    assert history.broken == [], f"seed {SEED}"
    assert 0 < len(history.started) < 60
