"""What a day's SMS may cost is never exceeded, and each message is paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from geoengine.core.model import SmsSpec
from geoengine.core.record import Record, Send
from geoengine.core.units import DAY_MS, HOUR_MS
from geoengine.service.sending.pacing.spending import SPEND_CAP, Spending
from geoengine.service.sending.preparing import Prepared
from geoengine.state.local import LocalState
from tests.core.world import World, a_campaign, a_store, bare
from tests.levers.sending import NOW_MS
from tests.levers.sms.sending import an_sms

ADA = Record("ada")


def purse(state: LocalState, daily_spend: float | None = 1.0, **changes: Any) -> Spending:
    """A purse for messages of ten cents a segment."""
    usual = {"provider": "twilio", "sender": "Rivoli", "segment_cost": 0.1}
    spec = SmsSpec(**usual | {"daily_spend": daily_spend} | changes)
    book = bare(World([a_store()], campaigns=[a_campaign()]).book(), sms=spec)
    return Spending(state, lambda: book)


@pytest.fixture
async def state() -> AsyncIterator[LocalState]:
    """An embedded state."""
    state = LocalState(None)
    await state.open()
    yield state
    await state.close()


def messages(count: int, first: int = 0) -> list[Send]:
    return [an_sms(send_id=f"s{number}") for number in range(first, first + count)]


async def stopped(spending: Spending, sends: list[Send], now_ms: int = NOW_MS) -> list[str]:
    """Why each may not leave."""
    prepared = [await spending.prepare(send, ADA, now_ms) for send in sends]
    return [one.why_not for one in prepared]


async def test_a_day_pays_for_as_much_as_it_may_cost_and_not_for_one_more(state):
    assert await stopped(purse(state), messages(12)) == [""] * 10 + [SPEND_CAP] * 2


async def test_a_message_counts_by_its_segments_with_the_way_out(state):
    long = [an_sms("a" * 150, send_id=f"s{number}") for number in range(6)]
    assert await stopped(purse(state, stop="STOP au 36180"), long) == [""] * 5 + [SPEND_CAP]
    assert await stopped(purse(state, stop=None), messages(1, first=9)) == [SPEND_CAP]


async def test_a_message_that_is_tried_again_was_paid_for(state):
    spending, sends = purse(state), messages(10)
    for _ in range(3):
        assert await stopped(spending, sends) == [""] * 10


async def test_another_process_finds_the_same_purse(state):
    assert await stopped(purse(state), messages(6)) == [""] * 6
    assert await stopped(purse(state), messages(6)) == [""] * 6
    assert await stopped(purse(state), messages(6, first=6)) == [""] * 4 + [SPEND_CAP] * 2


async def test_the_next_day_has_a_purse_of_its_own(state):
    spending = purse(state)
    assert await stopped(spending, messages(11)) == [""] * 10 + [SPEND_CAP]
    tomorrow_ms = NOW_MS + 6 * HOUR_MS  # NOW is 19:00 UTC
    assert await stopped(spending, messages(11, first=20), tomorrow_ms) == [""] * 10 + [SPEND_CAP]


async def test_fifty_at_once_in_two_processes_spend_no_more_than_the_day_has(state):
    purses = [purse(state), purse(state)]
    prepared = await asyncio.gather(
        *(purses[ix % 2].prepare(send, ADA, NOW_MS) for ix, send in enumerate(messages(50)))
    )
    assert sum(one.why_not == "" for one in prepared) == 10


async def test_news_of_an_order_goes_out_on_a_spent_day_and_counts(state):
    spending = purse(state)
    ready = {"data": {"legal_basis": "transactional", "message": {"body": "Your order is ready"}}}
    news = [an_sms(send_id=f"n{number}", event=ready) for number in range(4)]
    assert await stopped(spending, [*messages(8), *news]) == [""] * 12
    assert await stopped(spending, messages(1, first=8)) == [SPEND_CAP]
    await stopped(spending, news)
    [card] = (await state.cards(["spent/sms/2026-11-21"])).values()
    assert card.body == b"12000"


@pytest.mark.parametrize(("daily_spend", "changes"), [(None, {}), (1.0, {"lever": "push"})])
async def test_without_a_limit_and_by_other_levers_nothing_is_counted(state, daily_spend, changes):
    send = an_sms(**changes)
    assert await purse(state, daily_spend).prepare(send, ADA, NOW_MS) == Prepared(send)
    assert (await state.stats()).card_count == 0


async def test_what_was_kept_of_a_day_goes_with_it(state):
    await stopped(purse(state), messages(3))
    assert (await state.stats()).card_count == 4
    await state.trim(NOW_MS + 4 * DAY_MS, NOW_MS)
    assert (await state.stats()).card_count == 0
