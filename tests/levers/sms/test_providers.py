"""The answers of Twilio and Brevo, each with its consequence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.levers.sending import NOW_MS
from tests.levers.sms.sending import ADA, Opened, an_sms

ERRORS: dict[str, tuple[str, int, Any, tuple[str, str]]] = {
    "STOP": ("twilio", 400, {"code": 21610, "message": "unsubscribed"}, ("gone", "opted_out")),
    "no number": ("twilio", 400, {"code": 21211, "message": ADA}, ("gone", "address_dead")),
    "a landline": ("twilio", 400, {"code": 21614, "message": ADA}, ("gone", "address_dead")),
    "a landline in France": ("twilio", 400, {"code": 21635}, ("gone", "address_dead")),
    "our sender": ("twilio", 400, {"code": 21606, "message": ADA}, ("refused", "twilio_21606")),
    "no such account": ("twilio", 404, {"code": 20404}, ("refused", "twilio_20404")),
    "a page": ("twilio", 400, "<html>", ("refused", "twilio_400")),
    "twilio is full": ("twilio", 429, {"code": 20429}, ("retry", "http_429")),
    "twilio is away": ("twilio", 503, "<html>", ("retry", "http_503")),
    "brevo: bad request": (
        "brevo", 400, {"code": "invalid_parameter", "message": ADA},
        ("refused", "brevo_invalid_parameter"),
    ),
    "brevo: a strange code": ("brevo", 400, {"code": f"no {ADA}"}, ("refused", "brevo_400")),
    "brevo: no credit": ("brevo", 402, {"code": "not_enough_credits"}, ("retry", "no_credit")),
    "brevo is full": ("brevo", 429, {"code": "too_many_requests"}, ("retry", "http_429")),
    "brevo is away": ("brevo", 503, "", ("retry", "http_503")),
}  # fmt: skip


@pytest.mark.parametrize("what", ERRORS)
async def test_each_error_has_its_consequence_and_repeats_no_number(providers, what):
    name, status, body, expected = ERRORS[what]
    server = providers[name]
    server.errors[ADA] = status, body
    async with Opened(server, name) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.status, receipt.reason) == expected
    assert ADA not in receipt.text


@pytest.mark.parametrize(
    ("name", "header", "wait_ms"),
    [("twilio", "Retry-After", 30_000), ("brevo", "x-sib-ratelimit-reset", 30_000)],
)
async def test_a_provider_that_is_full_is_left_alone_for_as_long_as_it_asks(
    providers, name, header, wait_ms
):
    server = providers[name]
    server.errors[ADA], server.headers = (429, {}), {header: "30"}
    async with Opened(server, name) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert receipt.retry_after_ms == wait_ms


@pytest.mark.parametrize("name", ["twilio", "brevo"])
async def test_credentials_that_are_refused_leave_the_message_for_later(providers, name):
    server = providers[name]
    async with Opened(server, name, secret="hunter2") as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.status, receipt.reason) == ("retry", "bad_credentials")
    assert server.messages == []


async def test_twilio_is_told_how_long_the_message_is_worth_anything(twilio):
    async with Opened(twilio) as lever:
        await lever.send(an_sms(expires_ms=NOW_MS + 90_000), NOW_MS)
        await lever.send(an_sms(expires_ms=NOW_MS + 90 * 3_600_000), NOW_MS)
    assert [message["ValidityPeriod"] for message in twilio.messages] == ["90", "36000"]


async def test_twilio_sends_by_a_sender_or_by_a_messaging_service(twilio):
    service = "MG" + "1b" * 16
    async with Opened(twilio) as lever:
        await lever.send(an_sms(), NOW_MS)
    async with Opened(twilio, sender=None, messaging_service=service) as lever:
        await lever.send(an_sms(), NOW_MS)
    first, second = twilio.messages
    assert (first["From"], second["MessagingServiceSid"]) == ("Rivoli", service)
    assert "From" not in second


async def test_brevo_is_told_that_it_is_marketing_and_in_which_alphabet(brevo):
    async with Opened(brevo, "brevo", stop="STOP [STOP_CODE]") as lever:
        await lever.send(an_sms("Un thé ?"), NOW_MS)
        await lever.send(an_sms("C’est la fête"), NOW_MS)
    first, second = brevo.messages
    assert first == {
        "sender": "Rivoli",
        "recipient": "33612345678",
        "content": "Un thé ?\nSTOP [STOP_CODE]",
        "type": "marketing",
        "unicodeEnabled": False,
    }
    assert second["unicodeEnabled"]


async def test_news_of_an_order_is_no_advertisement_to_brevo_and_has_no_way_out(brevo):
    order = {"legal_basis": "transactional", "message": {"body": "Your order is ready"}}
    async with Opened(brevo, "brevo", stop="STOP [STOP_CODE]") as lever:
        await lever.send(an_sms(event={"data": order}), NOW_MS)
    [message] = brevo.messages
    assert (message["type"], message["content"]) == ("transactional", "Your order is ready")
