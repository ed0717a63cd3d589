"""What reports count of messages: facts, once a trigger, after its row has settled."""

from __future__ import annotations

from geoengine.core.record import Fact
from geoengine.core.units import HOUR_MS
from geoengine.levers.base import Receipt
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
