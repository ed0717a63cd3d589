"""What reports count of messages: facts, once a trigger, after its row has settled."""

from __future__ import annotations

import asyncio

from geoengine.core.record import Fact, Send
from geoengine.core.units import HOUR_MS
from geoengine.levers.base import Receipt
from geoengine.service.sending.ending.settler import Hooks
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS
from tests.service.dispatching import DELIVERED, DOWN, Post, a_post, a_row, answers

EVENT = {
    "type": "geoengine.trigger.fired",
    "data": {"zone_id": "shop", "visit_id": "v1", "variant": "b"},
}


async def facts_after(receipt: Receipt, **row: object) -> list[Fact]:
    """The facts of a row whose lever answers so."""
    async with a_post([answers(receipt)]) as post:
        await post.put(a_row(event=EVENT, **row))
        await post.until_over()
        return await facts_of(post)


async def facts_of(post: Post) -> list[Fact]:
    """What is kept of Ada, in the order of the ways a message goes."""
    found = await post.state.facts("ada")
    return sorted(found, key=lambda fact: ("sent", "delivered", "failed").index(fact.kind))


async def test_a_delivered_trigger_was_sent_and_delivered_and_is_counted_with_what_it_cost():
    receipt = Receipt("delivered", parts=2, cost=0.15, currency="EUR")
    sent, delivered = await facts_after(receipt)
    said = {"lever": "log", "variant": "b"}
    assert sent.data == said | {"parts": 2, "cost": 0.15, "currency": "EUR"}
    assert delivered.data == said
    for fact, kind in ((sent, "sent"), (delivered, "delivered")):
        assert fact.kind == kind
        assert fact.trigger_id == "t-s1"
        assert (fact.person_id, fact.campaign_id, fact.store_id) == ("ada", "hello", "shop")
        assert (fact.visit_id, fact.at_ms) == ("v1", NOON_MS)


async def test_a_cost_that_is_not_known_is_not_told():
    sent, _delivered = await facts_after(DELIVERED)
    assert sent.data == {"lever": "log", "variant": "b"}


async def test_a_refused_trigger_has_failed_and_what_the_provider_said_is_not_counted():
    [failed] = await facts_after(Receipt("refused", "bad_address", detail="+336 is no number"))
    assert failed.kind == "failed"
    assert (failed.data["status"], failed.data["reason"]) == ("refused", "bad_address")


async def test_a_trigger_that_is_tried_again_and_again_is_counted_once_when_it_has_ended():
    [failed] = await facts_after(DOWN)
    assert failed.kind == "failed"
    assert failed.data["status"] in ("dead", "expired")


async def test_an_event_is_no_trigger_and_is_not_counted():
    end_ms = NOON_MS + HOUR_MS
    assert await facts_after(DELIVERED, kind="event", campaign_id="", expires_ms=end_ms) == []


async def test_a_trigger_that_is_delivered_twice_is_counted_once():
    async with a_post([answers(DELIVERED)]) as post:
        await post.put(a_row(), a_row("copy", trigger_id="t-s1"))
        await post.until_over()
        assert [fact.kind for fact in await facts_of(post)] == ["sent", "delivered"]


async def test_a_message_of_unknown_fate_has_failed_and_may_have_cost():
    receipt = Receipt("ambiguous", "timeout", parts=1, cost=0.07, currency="EUR")
    [failed] = await facts_after(receipt)
    assert (failed.data["status"], failed.data["reason"]) == ("dead", "timeout")
    assert (failed.data["cost"], failed.data["currency"]) == (0.07, "EUR")


class Late(LocalState):
    """A state that takes facts when it is told to."""

    def __init__(self) -> None:
        super().__init__(None)
        self.is_asked, self.may_go = asyncio.Event(), asyncio.Event()

    async def commit(self, commit: Commit) -> None:
        """Wait, if there are any."""
        if commit.facts:
            self.is_asked.set()
            await self.may_go.wait()
        await super().commit(commit)


async def test_who_waits_for_what_is_on_its_way_finds_all_its_traces():
    state = Late()
    async with a_post([answers(DELIVERED)], state=state) as post:
        await post.put(a_row(event=EVENT))
        stepping = asyncio.create_task(post.dispatcher.step())
        await state.is_asked.wait()
        waiting = asyncio.create_task(post.dispatcher.quiesce("ada", 5.0))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        state.may_go.set()
        assert await waiting
        assert len(await state.facts("ada")) == 2
        assert post.told() == ["trigger.sent", "trigger.delivered"]
        await stepping


async def test_what_follows_from_who_is_gone_may_wait_for_their_other_messages():
    waited: list[bool] = []

    async def on_gone(send: Send, _receipt: Receipt) -> None:
        waited.append(await post.dispatcher.quiesce(send.person_id, 5.0))

    gone = answers(Receipt("gone", "token_dead"))
    async with a_post([gone], hooks=Hooks(on_gone=on_gone)) as post:
        await post.put(a_row())
        async with asyncio.timeout(2.0):  # less than the patience above
            await post.dispatcher.step()
    assert waited == [True]
