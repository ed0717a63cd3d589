"""Which of the retailer's systems hear of which event."""

from __future__ import annotations

from typing import Any

import pytest

from geoengine.core.book import Book
from geoengine.core.model import EngineSpec, WebhookSpec
from geoengine.core.record import Event, Record, Send
from geoengine.core.telling.news import EVENT_EXPIRES_MS, addressed, news
from tests.core.world import NOON_MS, World, a_store

URL = "https://crm.example/hook"


def a_book(*webhooks: WebhookSpec, sole: WebhookSpec | None = None) -> Book:
    """A shop whose retailer has these endpoints."""
    return World([a_store()], engine=EngineSpec(webhook=sole, webhooks=list(webhooks))).book()


def hook(id_: str, *events: str, **more: Any) -> WebhookSpec:
    """An endpoint."""
    return WebhookSpec(id=id_, url=URL, events=list(events), **more)


def an_event(type_: str = "trigger.fired", **data: Any) -> Event:
    """Something that happened to Ada."""
    return Event("e1", type_, NOON_MS, "ada", {"campaign_id": "hello", "store_id": "shop"} | data)


def who_hears(event: Event, book: Book) -> list[str]:
    """The endpoints that are told."""
    return [row.address for row in news(event, Record("ada"), book)]


@pytest.mark.parametrize(
    ("pattern", "type_", "takes"),
    [
        ("geoengine.trigger.fired", "trigger.fired", True),
        ("geoengine.trigger.fired", "trigger.failed", False),
        ("geoengine.trigger.*", "trigger.failed", True),
        ("geoengine.trigger.*", "visit.closed", False),
        ("geoengine.trigger", "trigger.fired", False),
        ("geoengine.*", "anything.new", True),
    ],
)
def test_an_endpoint_takes_a_type_or_all_of_a_kind(pattern, type_, takes):
    assert bool(who_hears(an_event(type_), a_book(hook("crm", pattern)))) is takes


def test_each_event_goes_to_each_endpoint_that_takes_it():
    book = a_book(
        hook("crm", "geoengine.*"),
        hook("till", "geoengine.coupon.*"),
        hook("lake", "geoengine.trigger.*", "geoengine.visit.closed"),
        sole=WebhookSpec(url=URL),
    )
    assert who_hears(an_event("trigger.fired"), book) == ["", "crm", "lake"]
    assert who_hears(an_event("coupon.redeemed"), book) == ["crm", "till"]


def test_an_endpoint_for_some_campaigns_or_stores_hears_only_what_is_about_them():
    book = a_book(
        hook("a", "geoengine.*", campaigns=["hello"]),
        hook("b", "geoengine.*", campaigns=["other"]),
        hook("c", "geoengine.*", stores=["shop"]),
        hook("d", "geoengine.*", campaigns=["hello"], stores=["elsewhere"]),
    )
    assert who_hears(an_event(), book) == ["a", "c"]


def test_what_is_about_no_store_or_campaign_is_not_for_an_endpoint_of_some():
    book = a_book(
        hook("a", "geoengine.*", campaigns=["hello"]),
        hook("c", "geoengine.*", stores=["shop"]),
        hook("all", "geoengine.*"),
    )
    changed = Event("e2", "consent.changed", NOON_MS, "ada", {"purpose": "sms"})
    assert who_hears(changed, book) == ["all"]


def test_the_only_endpoint_keeps_the_events_id_and_each_other_has_one_that_stays():
    one = a_book(hook("crm", "geoengine.*"), sole=WebhookSpec(url=URL))
    two = a_book(hook("new", "geoengine.*"), hook("crm", "geoengine.*"), sole=WebhookSpec(url=URL))
    before = {row.address: row.send_id for row in news(an_event(), Record("ada"), one)}
    after = {row.address: row.send_id for row in news(an_event(), Record("ada"), two)}
    assert before[""] == "e1"
    assert before.items() <= after.items()
    assert len({*after.values()}) == 3


def test_every_row_holds_the_same_event_and_lives_for_as_long_as_it_is_tried():
    rows = news(
        an_event(), Record("ada"), a_book(hook("a", "geoengine.*"), hook("b", "geoengine.*"))
    )
    assert {row.event["id"] for row in rows} == {"e1"}
    assert {row.expires_ms for row in rows} == {NOON_MS + EVENT_EXPIRES_MS}
    assert {row.kind for row in rows} == {"event"}


def a_trigger(**changes: Any) -> Send:
    """A message that fired."""
    usual: dict[str, Any] = {
        "send_id": "e1",
        "kind": "trigger",
        "person_id": "ada",
        "lever": "webhook",
        "created_ms": NOON_MS,
        "expires_ms": NOON_MS + 900_000,
        "due_ms": NOON_MS,
        "event": {},
    }
    return Send(**usual | changes)


def test_a_message_by_webhook_goes_to_the_first_that_takes_what_fired_and_to_the_others_as_news():
    book = a_book(
        hook("lake", "geoengine.visit.*"), hook("crm", "geoengine.*"), hook("b", "geoengine.*")
    )
    message = addressed(a_trigger(), an_event(), book)
    assert (message.send_id, message.address) == ("e1", "crm")
    [copy] = news(an_event(), Record("ada"), book, message)
    assert (copy.kind, copy.address) == ("event", "b")
    assert copy.expires_ms == message.expires_ms


def test_a_message_by_webhook_that_no_endpoint_takes_goes_to_the_first():
    book = a_book(hook("lake", "geoengine.visit.*"), hook("other", "geoengine.visit.*"))
    assert addressed(a_trigger(), an_event(), book).address == "lake"


def test_a_message_by_another_lever_keeps_its_address_and_is_news_to_all():
    book = a_book(hook("crm", "geoengine.*"), sole=WebhookSpec(url=URL))
    message = addressed(a_trigger(lever="sms", address="+33"), an_event(), book)
    assert message.address == "+33"
    assert [row.address for row in news(an_event(), Record("ada"), book, message)] == ["", "crm"]


def test_without_an_endpoint_nobody_is_told():
    assert news(an_event(), Record("ada"), a_book()) == []
