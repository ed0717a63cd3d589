"""When a message is tried again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.units import HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.backoff import LONG_MS, SHORT_LIFE_MS, SHORT_MS, next_attempt_ms, schedule_ms

LIFE = st.integers(SECOND_MS, 96 * HOUR_MS)
SEED = st.integers(0, 2**32)


def attempts_ms(life_ms: int, seed: int, retry_after_ms: int = 0) -> list[int]:
    """The moments of all attempts of a message made at 0 that fails every time at once."""
    rng, at_ms = random.Random(seed), [0]
    while True:
        due_ms = next_attempt_ms(at_ms[-1], (0, life_ms), len(at_ms), retry_after_ms, rng)
        if due_ms is None:
            return at_ms
        at_ms.append(due_ms)


def test_the_long_schedule_is_that_of_standard_webhooks():
    assert len(LONG_MS) + 1 == 10
    assert sum(LONG_MS) == 75 * HOUR_MS + 35 * MINUTE_MS + 5 * SECOND_MS


@given(SEED)
def test_an_outage_of_a_day_is_outlasted_however_the_dice_fall(seed):
    assert attempts_ms(96 * HOUR_MS, seed)[-1] > 24 * HOUR_MS


@given(SEED)
def test_a_trigger_of_fifteen_minutes_is_tried_several_times_and_once_near_its_end(seed):
    at_ms = attempts_ms(15 * MINUTE_MS, seed)
    assert 5 <= len(at_ms) <= 8
    assert at_ms[3] <= 21 * SECOND_MS


@given(LIFE, SEED, st.integers(0, HOUR_MS))
def test_no_attempt_starts_after_the_end_or_before_the_provider_allows(life_ms, seed, after_ms):
    at_ms = attempts_ms(life_ms, seed, after_ms)
    assert at_ms[-1] < life_ms
    assert all(late - soon >= after_ms for soon, late in pairwise(at_ms))
    assert len(at_ms) <= len(schedule_ms(life_ms)) + 1


@given(SEED)
def test_waits_grow_and_the_jitter_fills_all_between_one_step_and_the_next(seed):
    at_ms = attempts_ms(96 * HOUR_MS, seed)
    waits_ms = [late - soon for soon, late in pairwise(at_ms)]
    floors_ms = (0, *LONG_MS[:-1])
    assert all(
        low <= wait <= high for low, wait, high in zip(floors_ms, waits_ms, LONG_MS, strict=True)
    )


def test_two_messages_that_failed_together_come_back_apart():
    assert len({attempts_ms(HOUR_MS, seed)[2] for seed in range(100)}) > 90


@pytest.mark.parametrize(
    ("life_ms", "schedule"), [(SHORT_LIFE_MS, SHORT_MS), (SHORT_LIFE_MS + 1, LONG_MS)]
)
def test_short_lives_have_the_short_schedule(life_ms, schedule):
    assert schedule_ms(life_ms) == schedule
