"""What is sent by SMS, and what it costs."""

from __future__ import annotations

import pytest

from geoengine.core.model import SmsSpec
from geoengine.levers.base import Receipt
from geoengine.levers.sms.lever import SmsLever
from tests.levers.sending import NOW_MS
from tests.levers.sms.sending import STOP, Opened, an_sms


async def test_the_way_out_is_put_after_a_text_that_lacks_it(twilio):
    async with Opened(twilio) as lever:
        await lever.send(an_sms("Un thé ?"), NOW_MS)
        await lever.send(an_sms("Un thé ? Répondez STOP"), NOW_MS)
    assert [message["Body"] for message in twilio.messages] == [
        f"Un thé ?\n{STOP}",
        "Un thé ? Répondez STOP",
    ]


@pytest.mark.parametrize(
    ("body", "parts", "cost"),
    [("a" * 146, 1, 0.045), ("a" * 147, 2, 0.09), ("ê" * 56, 1, 0.045), ("ê" * 57, 2, 0.09)],
)
async def test_the_receipt_tells_segments_and_their_cost_with_the_way_out(
    twilio, body, parts, cost
):
    async with Opened(twilio, segment_cost=0.045) as lever:
        receipt = await lever.send(an_sms(body), NOW_MS)
    assert receipt == Receipt("delivered", parts=parts, cost=cost, currency="EUR")


async def test_without_a_price_no_cost_is_told(twilio):
    async with Opened(twilio) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.parts, receipt.cost, receipt.currency) == (1, 0.0, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "0612345678"}, "bad_address"),
        ({"address": "assumed"}, "bad_address"),
        ({"body": "a" * 300}, "too_long"),
        ({"body": "  "}, "empty"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anybody_is_asked(twilio, changes, reason):
    stop = None if reason == "empty" else STOP
    async with Opened(twilio, max_segments=2, stop=stop) as lever:
        receipt = await lever.send(an_sms(**changes), NOW_MS)
    assert receipt == Receipt("refused", reason, has_left=False)
    assert twilio.messages == []


async def test_without_a_provider_nothing_leaves_and_the_lever_says_why():
    spec = SmsSpec(provider="twilio", sender="Rivoli")
    lever = SmsLever(spec, None, cannot="sms: GEOENGINE_TWILIO_TOKEN is not set")
    receipt = await lever.send(an_sms(), NOW_MS)
    assert receipt == Receipt("refused", "no_provider", has_left=False)
    await lever.close()


@pytest.mark.parametrize("name", ["twilio", "brevo"])
async def test_a_message_whose_answer_was_lost_is_never_repeated_and_may_have_cost(providers, name):
    server = providers[name]
    server.is_silent = True
    async with Opened(server, name, timeout_s=2.0, segment_cost=0.05) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.cost) == ("ambiguous", "timeout", 0.05)
    assert len(server.messages) == 1


@pytest.mark.parametrize("name", ["twilio", "brevo"])
async def test_a_provider_that_is_down_has_received_nothing(providers, name):
    server = providers[name]
    server.url = "https://127.0.0.1:1"
    async with Opened(server, name) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "unreachable", False)
    assert receipt.cost == 0


@pytest.mark.parametrize("name", ["twilio", "brevo"])
@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_provider_that_breaks_may_have_taken_it(providers, name, status):
    server = providers[name]
    server.errors["+33612345678"] = status, "<html>"
    async with Opened(server, name) as lever:
        receipt = await lever.send(an_sms(), NOW_MS)
    assert (receipt.status, receipt.reason) == ("ambiguous", f"http_{status}")


async def test_where_to_tell_what_became_of_it_is_told(twilio, brevo):
    url = "https://geo.example/in/sms/status/x/y"
    event = {"data": {"message": {"body": "Un thé ?"}, "status_url": url}}
    for server, name, key in ((twilio, "twilio", "StatusCallback"), (brevo, "brevo", "webUrl")):
        async with Opened(server, name) as lever:
            await lever.send(an_sms(event=event), NOW_MS)
            await lever.send(an_sms(), NOW_MS)
        told, untold = server.messages
        assert told[key] == url
        assert key not in untold
