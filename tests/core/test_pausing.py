"""The operator's pause: who is silenced by it, when it is decided and before it is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geoengine.core.book import Book
from geoengine.core.model import EngineSpec
from geoengine.core.record import Order, Record, Send
from geoengine.core.rules import may_send
from geoengine.core.units import DAY_MS, MINUTE_MS
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store, bare, plan

SERVICE = {
    "legal_basis": "transactional",
    "about": "order_ready",
    "levers": ["push"],
    "message": {"en": "Your order is ready"},
}
ADVERT, NEWS = {"levers": ["push"]}, {"levers": ["webhook"]}
READY = {"A17": Order("shop", NOON_MS - 1, NOON_MS + DAY_MS)}
PAUSED, OFF = "paused:engine", "paused:campaign"


async def decided(engine: EngineSpec, *campaigns: dict) -> tuple[Walk, list[str]]:
    """What campaigns say, one by one, to somebody who agreed to pushes and comes for an order."""
    made = [a_campaign(f"c{ix}", **facts) for ix, facts in enumerate(campaigns)]
    ann = Walk(World([a_store()], campaigns=made, engine=engine).book())
    tokens = {"ann": ["ios", "token"]}
    await ann.agree("ann", "location", "push", push_tokens=tokens, orders=dict(READY))
    await ann.post((0, 2000), (60, 0))
    by_campaign = {d.campaign_id: d.reason for out in ann.outcomes for d in out.decisions}
    return ann, [by_campaign[f"c{ix}"] for ix in range(len(campaigns))]


async def queued(**campaign: object) -> tuple[Book, Send, Record]:
    """A message on its way, decided before any pause."""
    ann, reasons = await decided(EngineSpec(), campaign)
    assert reasons == ["ok"]
    (row,) = [row.send for row in await ann.state.sends() if row.send.kind == "trigger"]
    return ann.book, row, (await ann.state.load(["ann"]))["ann"]


def asked(book: Book, send: Send, record: Record) -> str:
    return may_send(send, record, book, NOON_MS + 2 * MINUTE_MS)


@pytest.mark.parametrize(
    ("pause", "advert", "service"),
    [(None, "ok", "ok"), ("marketing", PAUSED, "ok"), ("everything", PAUSED, PAUSED)],
)
async def test_a_pause_silences_marketing_or_everything_that_reaches_people(pause, advert, service):
    _, reasons = await decided(EngineSpec(pause=pause), ADVERT, SERVICE)
    assert reasons == [advert, service]


async def test_systems_hear_of_triggers_also_in_a_pause_of_everything():
    assert (await decided(EngineSpec(pause="everything"), NEWS))[1] == ["ok"]


async def test_a_campaign_without_a_way_to_somebody_is_paused_like_the_others():
    _, reasons = await decided(EngineSpec(pause="marketing"), {"levers": ["email"]})
    assert reasons == [PAUSED]


@pytest.mark.parametrize("facts", [ADVERT, NEWS, SERVICE])
async def test_a_paused_campaign_says_nothing_by_any_lever_and_the_others_speak(facts):
    _, reasons = await decided(EngineSpec(), facts | {"paused": True}, {"levers": ["log"]})
    assert reasons == [OFF, "ok"]


async def test_what_a_pause_stops_takes_no_place_under_a_cooldown():
    ann, reasons = await decided(EngineSpec(pause="marketing"), ADVERT | {"cooldown": "1d"})
    assert reasons == [PAUSED]
    ann.book = bare(ann.book, pause=None)
    await ann.post((4000, 2000), (4060, 0))
    assert ann.reasons()[-1] == "ok"


async def test_before_the_send_the_same_is_asked_once_more():
    for facts, pause, why in (
        (ADVERT, "marketing", PAUSED),
        (SERVICE, "marketing", ""),
        (SERVICE, "everything", PAUSED),
        (NEWS, "everything", ""),
    ):
        book, send, record = await queued(**facts)
        assert asked(book, send, record) == ""
        assert asked(bare(book, pause=pause), send, record) == why, (facts, pause)


async def test_before_the_send_its_campaign_may_have_been_paused():
    book, send, record = await queued(**NEWS)
    still = replace(book, campaigns=(plan(a_campaign("c0", paused=True, **NEWS)),))
    assert asked(still, send, record) == OFF


async def test_a_trial_is_a_message_too_and_staff_is_told_of_orders_until_everything_is_paused():
    book, _, record = await queued(**ADVERT)
    for kind, lever, by_marketing, by_everything in (
        ("test", "push", PAUSED, PAUSED),
        ("test", "webhook", "", ""),
        ("event", "webhook", "", ""),
        ("event", "staff", "", PAUSED),
    ):
        epoch = record.epoch("push") if lever == "push" else 0
        row = Send(
            "s", kind, "ann", lever, 0, NOON_MS + DAY_MS, 0, {},
            consent_epoch=epoch, location_epoch=record.epoch("location"),
        )  # fmt: skip
        assert asked(book, row, record) == ""
        assert asked(bare(book, pause="marketing"), row, record) == by_marketing, (kind, lever)
        assert asked(bare(book, pause="everything"), row, record) == by_everything, (kind, lever)
