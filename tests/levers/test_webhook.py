"""The webhook lever against real receivers."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from geoengine.levers.base import Receipt
from geoengine.levers.guard import EndpointError
from geoengine.levers.signing import SecretError
from tests.levers.names import Names
from tests.levers.receivers import (
    drips,
    gzip_bomb,
    never,
    pours,
    receiving,
    resets,
    says,
    says_in_turn,
)
from tests.levers.sending import NOW_MS, SECRET, SECRET_2, a_send, lever_for


async def test_an_accepted_event_is_delivered_as_one_structured_cloudevent():
    async with receiving(says(200)) as receiver, lever_for(receiver.url) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt == Receipt("delivered")
    [(headers, body)] = receiver.requests
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == "send-1"
    assert json.loads(body) == a_send().event


@pytest.mark.parametrize("secret", [SECRET, SECRET_2])
async def test_every_secret_of_a_rotation_verifies_the_signature(secret, now_s):
    async with (
        receiving(says(204)) as receiver,
        lever_for(receiver.url, secrets=f"{SECRET} {SECRET_2}") as lever,
    ):
        await lever.send(a_send(), now_s * 1_000)
    [(headers, body)] = receiver.requests
    assert Webhook(secret).verify(body, headers) == a_send().event


async def test_a_changed_body_or_id_no_longer_verifies(now_s):
    async with receiving(says(204)) as receiver, lever_for(receiver.url) as lever:
        await lever.send(a_send(), now_s * 1_000)
    [(headers, body)] = receiver.requests
    for forged_headers, forged_body in (
        (headers, body + b" "),
        (headers | {"webhook-id": "send-2"}, body),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(forged_body, forged_headers)


async def test_the_id_stays_and_the_timestamp_is_the_attempts_own():
    async with receiving(says(500)) as receiver, lever_for(receiver.url) as lever:
        await lever.send(a_send(), NOW_MS)
        await lever.send(a_send(), NOW_MS + 90_000)
    first, second = (headers for headers, _body in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 90
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 500, 502, 504])
async def test_every_other_failure_is_worth_another_try(status):
    async with (
        receiving(says(status, b"no such hook")) as receiver,
        lever_for(receiver.url) as lever,
    ):
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt == Receipt("retry", f"http_{status}", detail="no such hook")


async def test_410_switches_the_endpoint_off_and_nothing_more_is_sent_to_it():
    async with receiving(says_in_turn(410, 200)) as receiver, lever_for(receiver.url) as lever:
        first = await lever.send(a_send(), NOW_MS)
        second = await lever.send(a_send(send_id="send-2"), NOW_MS)
    assert (first.status, first.reason, first.has_left) == ("gone", "endpoint_gone", True)
    assert (second.status, second.reason, second.has_left) == ("gone", "endpoint_gone", False)
    assert receiver.ids == ["send-1"]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("7", 7_000),
        (formatdate(NOW_MS / 1_000 + 60, usegmt=True), 60_000),
        ("0", 0),
        ("-5", 0),
        ("a while", 0),
        ("9" * 300, 24 * 3_600_000),
    ],
)
async def test_retry_after_is_honoured_in_seconds_and_as_a_date(status, header, wait_ms):
    async with (
        receiving(says(status, Retry_After=header)) as receiver,
        lever_for(receiver.url) as lever,
    ):
        receipt = await lever.send(a_send(), NOW_MS)
    assert (receipt.status, receipt.retry_after_ms) == ("retry", wait_ms)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_never_followed(status):
    async with receiving(says(200)) as inside:
        moved = says(status, Location=inside.url)
        async with receiving(moved) as receiver, lever_for(receiver.url) as lever:
            receipt = await lever.send(a_send(), NOW_MS)
    assert (receipt.status, receipt.reason) == ("retry", f"http_{status}")
    assert len(receiver.requests) == 1
    assert inside.requests == []


async def test_a_receiver_that_never_answers_is_given_up_and_may_be_asked_again():
    async with receiving(never) as receiver, lever_for(receiver.url, timeout_s=0.05) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt == Receipt("retry", "timeout")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(("status", "answer"), [(200, "delivered"), (500, "retry")])
async def test_a_body_that_drips_for_ever_does_not_hold_the_answer_up(status, answer):
    async with (
        receiving(drips(status)) as receiver,
        lever_for(receiver.url, timeout_s=0.1) as lever,
    ):
        async with asyncio.timeout(5):
            receipt = await lever.send(a_send(), NOW_MS)
    assert receipt.status == answer


@pytest.mark.parametrize(("status", "answer"), [(200, "delivered"), (500, "retry")])
async def test_of_a_huge_answer_only_the_beginning_is_read_and_a_kilobyte_kept(status, answer):
    async with receiving(pours(status, 64 << 20)) as receiver, lever_for(receiver.url) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt.status == answer
    assert len(receipt.detail) == (1_024 if status == 500 else 0)


async def test_a_compressed_answer_is_never_unpacked():
    async with receiving(gzip_bomb(500)) as receiver, lever_for(receiver.url) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt.reason == "http_500"
    assert len(receipt.detail) <= 1_024
    assert "\x00" not in receipt.detail


async def test_a_connection_reset_after_the_request_may_be_asked_again():
    async with receiving(resets) as receiver, lever_for(receiver.url) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "connection_lost", True)
    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_down_has_received_nothing():
    async with receiving(says(200)) as receiver:
        url = receiver.url
    async with lever_for(url) as lever:
        receipt = await lever.send(a_send(), NOW_MS)
    assert receipt == Receipt("retry", "unreachable", has_left=False)


async def test_no_cookie_is_kept_from_one_attempt_to_the_next():
    async with (
        receiving(says(200, Set_Cookie="session=1")) as receiver,
        # A name, because cookies of bare addresses are not kept anyway.
        lever_for(
            receiver.url.replace("127.0.0.1", "receiver.example"), resolver=Names(["127.0.0.1"])
        ) as lever,
    ):
        await lever.send(a_send(), NOW_MS)
        await lever.send(a_send(send_id="send-2"), NOW_MS)
    assert all("cookie" not in headers for headers, _body in receiver.requests)
    assert receiver.ids == ["send-1", "send-2"]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    async with receiving(says(200)) as proxy, receiving(says(200)) as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with lever_for(receiver.url) as lever:
            await lever.send(a_send(), NOW_MS)
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example/", "https://u:p@a.example/", "https:///x", "https://a.example:x/"]
)
def test_an_address_that_is_none_is_refused_when_the_lever_is_made(url):
    with pytest.raises(EndpointError):
        lever_for(url, allow_private=True)


@pytest.mark.parametrize("secrets", ["", "hunter2", "whsec_!!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secrets):
    with pytest.raises(SecretError) as caught:
        lever_for("https://crm.example/hook", secrets=secrets)
    assert not secrets or secrets not in str(caught.value)
