"""Push by Firebase Cloud Messaging."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.record import Send
from geoengine.levers.push.fcm import Fcm
from tests.levers.push.google_double import Google, fcm, fcm_error, quota, violations
from tests.levers.sending import NOW_MS, a_send

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "fcm"
TOKEN = "cXk:APA91b"
NOT_THERE = pytest.mark.skipif(not PAYLOADS.exists(), reason="no shared payloads beside the tree")


def a_push(**changes: Any) -> Send:
    """A push message to an Android phone."""
    data = {
        "zone_id": "rivoli",
        "visit_id": "v1",
        "message": {"locale": "fr", "title": "Un thé ?", "body": "Bonsoir Ada"},
        "call_to_action": {"kind": "directions", "url": "https://maps.example/?q=1"},
        "coupon": {"code": "ABC2345DEF", "valid_until": "2026-11-21T21:00:00.000Z"},
    }
    usual = {"lever": "push", "address": f"android:{TOKEN}", "event": {"data": data}}
    return a_send(**usual | changes)


class Opened:
    """The project of a double."""

    def __init__(self, server: Google, **options: Any) -> None:
        self.fcm = Fcm(server.account, url=server.url, tls=server.tls, **options)

    async def __aenter__(self) -> Fcm:
        return self.fcm

    async def __aexit__(self, *_: object) -> None:
        await self.fcm.close()


async def test_a_message_says_to_each_kind_of_device_what_it_understands(fcm_server):
    async with Opened(fcm_server, channel="offers") as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert receipt.status == "delivered"
    [message] = fcm_server.messages
    assert message["token"] == TOKEN
    assert message["notification"] == {"title": "Un thé ?", "body": "Bonsoir Ada"}
    assert message["data"] == {
        "trigger_id": "trigger-1",
        "campaign_id": "afterwork",
        "store_id": "rivoli",
        "zone_id": "rivoli",
        "visit_id": "v1",
        "action": "directions",
        "url": "https://maps.example/?q=1",
        "code": "ABC2345DEF",
        "valid_until": "2026-11-21T21:00:00.000Z",
    }
    assert message["android"] == {
        "priority": "HIGH",
        "ttl": "900s",
        "collapseKey": "afterwork",
        "notification": {"tag": "afterwork", "channelId": "offers"},
    }
    assert message["apns"]["headers"]["apns-expiration"] == str(NOW_MS // 1_000 + 900)
    assert message["webpush"]["fcmOptions"] == {"link": "https://maps.example/?q=1"}
    assert message["webpush"]["headers"]["TTL"] == "900"


async def test_a_link_that_is_not_https_is_kept_from_browsers_and_not_from_apps(fcm_server):
    action = {"call_to_action": {"kind": "call", "url": "tel:+33140000000"}}
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(event={"data": action}), TOKEN, NOW_MS)
    assert receipt.status == "delivered"
    assert "fcmOptions" not in fcm_server.messages[0]["webpush"]
    assert fcm_server.messages[0]["data"]["url"] == "tel:+33140000000"


async def test_one_access_token_serves_an_hour_and_many_at_once_ask_for_it_once(fcm_server):
    async with Opened(fcm_server) as project:
        await asyncio.gather(*(project.push(a_push(), TOKEN, NOW_MS) for _ in range(20)))
        assert len(fcm_server.assertions) == 1
        await project.push(a_push(), TOKEN, NOW_MS + 54 * 60_000)
        assert len(fcm_server.assertions) == 1
        await project.push(a_push(), TOKEN, NOW_MS + 55 * 60_000)
    assert [claims["iat"] for claims in fcm_server.assertions] == [
        NOW_MS // 1_000,
        NOW_MS // 1_000 + 3_300,
    ]


async def test_an_access_token_that_is_refused_is_renewed_once_and_the_message_goes(fcm_server):
    async with Opened(fcm_server) as project:
        await project.push(a_push(), TOKEN, NOW_MS)
        fcm_server.good.clear()
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert receipt.status == "delivered"
    assert len(fcm_server.assertions) == 2


async def test_a_token_that_is_refused_again_leaves_the_message_for_later(fcm_server):
    fcm_server.errors[TOKEN] = fcm_error(403, "PERMISSION_DENIED")
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason) == ("retry", "bad_credentials")
    assert len(fcm_server.messages) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((400, '{"error":"invalid_grant"}'), "bad_credentials"),
        ((503, "later"), "token_unavailable"),
        ((200, "<html>"), "token_unavailable"),
    ],
)
async def test_without_an_access_token_nothing_leaves(fcm_server, fault, reason):
    fcm_server.token_fault = fault
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", reason, False)
    assert fcm_server.messages == []


# What is wrong, and what becomes of the message.
DEAD = ("gone", "token_dead")
ERRORS: dict[str, tuple[tuple[int, Any], tuple[str, str]]] = {
    "the app was removed": (fcm_error(404, "NOT_FOUND", fcm("UNREGISTERED")), DEAD),
    "another app's token": (
        fcm_error(403, "PERMISSION_DENIED", fcm("SENDER_ID_MISMATCH")),
        DEAD,
    ),
    "never a token": (fcm_error(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT")), DEAD),
    "never a token, by its field": (
        fcm_error(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT"), violations("message.token")),
        DEAD,
    ),
    "our fault": (
        fcm_error(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT"), violations("message.data[a]")),
        ("refused", "invalid_argument"),
    ),
    "our fault, not told by FCM": (
        fcm_error(400, "INVALID_ARGUMENT"),
        ("refused", "invalid_argument"),
    ),
    "a wrong address of ours": ((404, "<html>no such page"), ("refused", "http_404")),
    "no such project": (fcm_error(404, "NOT_FOUND"), ("refused", "not_found")),
    "Apple's key in Firebase": (
        fcm_error(401, "UNAUTHENTICATED", fcm("THIRD_PARTY_AUTH_ERROR")),
        ("retry", "bad_credentials"),
    ),
    "overloaded": (fcm_error(503, "UNAVAILABLE", fcm("UNAVAILABLE")), ("retry", "unavailable")),
    "broken": (fcm_error(500, "INTERNAL", fcm("INTERNAL")), ("retry", "internal")),
    "a page of a proxy": ((502, "<html>Bad Gateway</html>"), ("retry", "http_502")),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_each_error_has_its_consequence(fcm_server, what):
    answer, expected = ERRORS[what]
    fcm_server.errors[TOKEN] = answer
    async with Opened(fcm_server) as project:
        await project.push(a_push(), "a:good-one", NOW_MS)
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason) == expected


async def test_with_another_projects_account_no_token_is_thrown_away(fcm_server):
    fcm_server.errors[TOKEN] = ERRORS["another app's token"][0]
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason) == ("refused", "sender_id_mismatch")


@NOT_THERE
@pytest.mark.parametrize(
    ("name", "status"),
    [("error_400_invalid_token", 400), ("error_404_unregistered_derived", 404)],
)
async def test_the_recorded_errors_tell_a_dead_token(fcm_server, name, status):
    fcm_server.errors[TOKEN] = status, json.loads((PAYLOADS / f"{name}.json").read_text())
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason) == DEAD


@pytest.mark.parametrize(("headers", "wait_ms"), [({}, 60_000), ({"Retry-After": "7"}, 7_000)])
async def test_a_quota_is_waited_out_a_minute_unless_told_otherwise(fcm_server, headers, wait_ms):
    fcm_server.errors[TOKEN] = fcm_error(429, "RESOURCE_EXHAUSTED", fcm("QUOTA_EXCEEDED"))
    fcm_server.headers = headers
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason) == ("retry", "quota_exceeded")
    assert receipt.retry_after_ms == wait_ms


PROJECT = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "RATE_LIMIT_EXCEEDED",
    "domain": "googleapis.com",
    "metadata": {"quota_limit": "SendsPerMinutePerProject", "quota_unit": "1/min/{project}"},
}


@pytest.mark.parametrize(
    ("details", "is_of_one"),
    [
        ([fcm("QUOTA_EXCEEDED")], False),
        ([PROJECT], False),
        ([fcm("QUOTA_EXCEEDED"), quota("project:42", "Message rate exceeded")], False),
        ([fcm("QUOTA_EXCEEDED"), quota("topic:sales", "Topic quota exceeded.")], False),
        ([fcm("QUOTA_EXCEEDED"), quota("", "Device message rate exceeded")], True),
        ([fcm("QUOTA_EXCEEDED"), quota(f"token:{TOKEN}", "Too many messages")], True),
        ([quota("device:1", ""), quota("project:42", "Message rate exceeded")], False),
    ],
)
async def test_a_quota_of_one_device_is_told_from_those_of_all(fcm_server, details, is_of_one):
    fcm_server.errors[TOKEN] = fcm_error(429, "RESOURCE_EXHAUSTED", *details)
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
    assert (receipt.status, receipt.retry_after_ms) == ("retry", 60_000)
    assert receipt.is_of_one == is_of_one


async def test_a_lost_answer_is_asked_for_again_under_the_same_tag(fcm_server):
    fcm_server.silent = asyncio.Event()
    async with Opened(fcm_server, timeout_s=2.0) as project:
        receipt = await project.push(a_push(), TOKEN, NOW_MS)
        assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "timeout", True)
        fcm_server.silent = None
        assert (await project.push(a_push(), TOKEN, NOW_MS)).status == "delivered"
    first, second = fcm_server.messages
    assert first["android"] == second["android"]


async def test_what_is_too_large_is_not_sent_lest_the_token_be_thrown_away_for_it(fcm_server):
    data = {"message": {"title": "x", "body": "é" * 2_100}}
    async with Opened(fcm_server) as project:
        receipt = await project.push(a_push(event={"data": data}), TOKEN, NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("refused", "too_large", False)
    assert fcm_server.messages == []


async def test_a_service_that_is_down_has_received_nothing(fcm_server):
    project = Fcm(fcm_server.account, url="https://127.0.0.1:1", tls=fcm_server.tls)
    receipt = await project.push(a_push(), TOKEN, NOW_MS)
    await project.close()
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "unreachable", False)
