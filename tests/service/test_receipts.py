"""What providers tell of messages they have taken, from the message to the report's fact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import SmsSpec
from geoengine.core.record import Record, Send
from geoengine.service.sending.ending.statuses import PATH, Sent, StatusUrls, opened, sealed
from tests.core.world import World, a_campaign, a_store, bare
from tests.levers.sending import NOW_MS
from tests.levers.sms.sending import an_sms
from tests.service.serving import Client, served

KEY = b"k" * 32
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def sent_to(person_id: str = "ada") -> Sent:
    return Sent("send-1", person_id, "afterwork", "rivoli", "trigger-1", "v1", "b")


async def prepared(send: Send, public_url: str | None = "https://geo.example/") -> str:
    """The address that a message carries."""
    spec = SmsSpec(provider="twilio", sender="Rivoli")
    book = World([a_store()], campaigns=[a_campaign()]).book().keyed(KEY)
    book = bare(book, sms=spec, public_url=public_url)
    ready = await StatusUrls(lambda: book).prepare(send, Record("ada"), NOW_MS)
    assert not ready.why_not
    return str(ready.send.event["data"].get("status_url", ""))


async def test_a_message_carries_the_address_of_what_became_of_it_and_of_nobody_else():
    url = await prepared(an_sms())
    assert url.startswith(f"https://geo.example{PATH}/twilio/")
    assert "ada" not in url and "rivoli" not in url
    found = opened(url.rpartition("/")[2], KEY)
    assert found is not None
    assert (found.send_id, found.person_id, found.trigger_id) == ("send-1", "ada", "trigger-1")
    assert url == await prepared(an_sms())
    assert url != await prepared(an_sms(send_id="send-2"))


async def test_without_a_public_url_and_by_other_levers_none_is_carried():
    assert await prepared(an_sms(), public_url=None) == ""
    assert await prepared(an_sms(lever="push")) == ""


@given(st.text(max_size=60), st.integers(0, 200))
def test_an_address_that_is_not_ours_or_was_changed_opens_nothing(text, place):
    whole = sealed(sent_to(), KEY)
    assert opened(text, KEY) is None
    at = place % len(whole)
    other = "A" if whole[at] != "A" else "B"
    changed = opened(whole[:at] + other + whole[at + 1 :], KEY)
    assert changed is None or changed == sent_to()  # bits of the last sign that mean nothing
    assert opened(whole, b"other" * 8) is None


async def facts(client: Client, person_id: str = "ada") -> list[tuple[str, dict[str, Any]]]:
    """What is kept of a person, as (kind, data)."""
    found = await client.service.context.state.facts(person_id)
    return [(fact.kind, fact.data) for fact in found]


async def tell(client: Client, body: dict[str, Any], provider: str = "twilio") -> int:
    """Post what a provider says of Ada's message; the status of the answer."""
    token = sealed(sent_to(), client.service.context.book.coupon_key)
    raw = (urlencode(body) if provider == "twilio" else json.dumps(body)).encode()
    headers = FORM if provider == "twilio" else None
    path = f"{PATH}/{provider}/{token}"
    status, _body, _headers = await client.using(None).call("POST", path, raw, headers)
    return status


SAID = {"lever": "sms", "variant": "b"}


@pytest.mark.parametrize(
    ("provider", "body", "expected"),
    [
        ("twilio", {"MessageStatus": "delivered"}, [("delivered", SAID)]),
        ("twilio", {"MessageStatus": "sent"}, []),
        ("twilio", {"MessageStatus": "queued"}, []),
        (
            "twilio",
            {"MessageStatus": "undelivered", "ErrorCode": "30005"},
            [("failed", SAID | {"status": "undelivered", "reason": "twilio_30005"})],
        ),
        (
            "twilio",
            {"MessageStatus": "failed"},
            [("failed", SAID | {"status": "undelivered", "reason": "twilio_failed"})],
        ),
        ("brevo", {"msg_status": "delivered", "to": "336"}, [("delivered", SAID)]),
        ("brevo", {"msg_status": "sent"}, []),
        (
            "brevo",
            {"msg_status": "hard_bounce"},
            [("failed", SAID | {"status": "undelivered", "reason": "brevo_hard_bounce"})],
        ),
    ],
)
async def test_what_the_network_says_becomes_a_fact_once(tmp_path: Path, provider, body, expected):
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ada", {"phone": "+33612345678"})
        for _ in range(2):
            assert await tell(client, body, provider) == 200
        assert await facts(client) == expected


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("twilio", {"MessageStatus": "failed", "ErrorCode": "21610", "To": "+33612345678"}),
        ("brevo", {"msg_status": "unsubscribe", "to": "33612345678"}),
        ("brevo", {"msg_status": "blacklisted", "to": "33612345678"}),
        ("brevo", {"msg_status": "Blocklisted", "to": "33612345678"}),
    ],
)
async def test_a_number_that_said_stop_to_the_sender_is_left_alone_before_we_answer(
    tmp_path: Path, provider, body
):
    number = "+33612345678"
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ada", {"phone": number})
        await client.ok("PUT", "/v1/people/ada/consents/sms", {"source": "app"})
        assert await tell(client, body, provider) == 200
        consents = (await client.ok("GET", "/v1/people/ada"))["consents"]
        assert not consents["sms"]["granted"]
        assert await client.service.context.suppression.is_stopped("sms", number)


@pytest.mark.parametrize(
    ("provider", "body", "is_kept"),
    [
        ("twilio", {"ErrorCode": "30006", "From": "Rivoli"}, False),
        ("twilio", {"ErrorCode": "30006", "From": "+15005550006"}, False),
        ("twilio", {"ErrorCode": "30006", "From": "36180"}, True),
        ("twilio", {"ErrorCode": "30006"}, True),
        ("twilio", {"ErrorCode": "21635", "From": "36180"}, False),
        ("twilio", {"ErrorCode": "30003", "From": "Rivoli"}, True),
        ("twilio", {"ErrorCode": "30005", "From": "Rivoli"}, True),
        ("brevo", {"msg_status": "hard_bounce"}, False),
        ("brevo", {"msg_status": "soft_bounce"}, True),
    ],
)
async def test_a_number_that_takes_no_sms_is_forgotten_and_no_other(
    tmp_path: Path, provider, body, is_kept
):
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ada", {"phone": "+33612345678"})
        for number, is_hers in (("33698765432", False), ("33612345678", True)):
            told = {"To": f"+{number}", "MessageStatus": "failed"}
            told = told if provider == "twilio" else {"to": number}
            assert await tell(client, body | told, provider) == 200
            kept = (await client.ok("GET", "/v1/people/ada"))["addresses"]
            assert ("sms" in kept) is (is_kept or not is_hers)


async def test_of_somebody_who_was_erased_nothing_is_written_down_again(tmp_path: Path):
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ada", {"phone": "+33612345678"})
        await client.ok("DELETE", "/v1/people/ada")
        assert await tell(client, {"MessageStatus": "delivered"}) == 200
        assert await facts(client) == []


async def test_an_address_that_is_not_ours_is_not_found_and_a_body_that_is_none_refused(
    tmp_path: Path,
):
    async with served(tmp_path) as client:
        anybody = client.using(None)
        for path in ("/twilio/x", "/twilio/" + "A" * 200, "/nobody/x"):
            status, _body, _headers = await anybody.call("POST", PATH + path, b"", FORM)
            assert status == 404
        token = sealed(sent_to(), client.service.context.book.coupon_key)
        for path, body, expected in (
            (f"/nobody/{token}", b"", 404),
            (f"/brevo/{token}", b"[" * 10_000, 400),
            (f"/brevo/{token}", b"\xff", 400),
            (f"/twilio/{token}", b"&".join([b"a=b"] * 300), 400),
            (f"/twilio/{token}", b"x" * 70_000, 413),
        ):
            status, _body, _headers = await anybody.call("POST", PATH + path, body, FORM)
            assert status == expected


def test_the_path_is_short_enough_for_providers():
    long = Sent(*("x" * 128 for _ in range(7)))
    assert len(urlsplit(f"https://geo.example{PATH}/twilio/{sealed(long, KEY)}").path) < 2_000
