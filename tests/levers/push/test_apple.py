"""Push by Apple's service, over HTTP/2."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from geoengine.core.model import ApnsSpec
from geoengine.levers.apns import Connection, TeamTokens
from geoengine.levers.push.apple import Apple
from geoengine.levers.secrets import CredentialError
from tests.levers.push.apple_double import KEY_ID, TEAM, TOPIC, AppleDouble, p8
from tests.levers.push.test_fcm import a_push
from tests.levers.sending import NOW_MS

DEVICE, GOOD = "0f" * 32, "1e" * 32
MINUTE_MS = 60_000


class Opened:
    """One app of the double."""

    def __init__(self, server: AppleDouble, timeout_s: float = 5.0, **changes: Any) -> None:
        server.now_s = NOW_MS // 1_000
        spec = ApnsSpec(**{"team": TEAM, "key_id": KEY_ID, "topic": TOPIC} | changes)
        tokens = TeamTokens(p8(), spec.key_id, spec.team, spec.key.env)
        self.app = Apple(spec, tokens, Connection(server.url, timeout_s, tls=server.tls))

    async def __aenter__(self) -> Apple:
        return self.app

    async def __aexit__(self, *_: object) -> None:
        await self.app.close()


async def test_a_message_shows_its_text_and_hands_the_app_its_ids(apns_server):
    async with Opened(apns_server) as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert receipt.status == "delivered"
    [(headers, told)] = apns_server.pushes
    assert told["aps"] == {
        "alert": {"title": "Un thé ?", "body": "Bonsoir Ada"},
        "sound": "default",
        "thread-id": "afterwork",
    }
    assert told["trigger_id"] == "trigger-1"
    assert told["url"] == "https://maps.example/?q=1"
    assert headers["apns-expiration"] == str(NOW_MS // 1_000 + 900)
    assert headers["apns-collapse-id"] == "afterwork"
    assert headers["apns-push-type"] == "alert"
    assert UUID(headers["apns-id"])


async def test_the_id_stays_from_one_attempt_to_the_next_and_differs_between_messages(apns_server):
    async with Opened(apns_server) as app:
        for send_id in ("send-1", "send-1", "send-2"):
            await app.push(a_push(send_id=send_id), DEVICE, NOW_MS)
    first, again, other = [headers["apns-id"] for headers, _told in apns_server.pushes]
    assert first == again != other


async def test_many_messages_at_once_share_one_connection(apns_server):
    apns_server.hold_count = 30
    async with Opened(apns_server) as app:
        receipts = await asyncio.gather(
            *(app.push(a_push(send_id=f"s{n}"), DEVICE, NOW_MS) for n in range(30))
        )
    assert {receipt.status for receipt in receipts} == {"delivered"}
    assert (apns_server.connection_count, apns_server.most_at_once) == (1, 30)


async def test_our_token_is_kept_for_forty_minutes_and_then_renewed(apns_server):
    async with Opened(apns_server) as app:
        for minutes in (0, 39, 40, 79, 80):
            at_ms = NOW_MS + minutes * MINUTE_MS
            apns_server.now_s = at_ms // 1_000
            assert (await app.push(a_push(), DEVICE, at_ms)).status == "delivered"
    begun_s = NOW_MS // 1_000
    assert apns_server.issued_s == [begun_s, begun_s + 2_400, begun_s + 4_800]


async def test_a_token_of_ours_that_is_refused_is_renewed_once_if_apple_bears_it(apns_server):
    later_ms = NOW_MS + 25 * MINUTE_MS
    async with Opened(apns_server) as app:
        await app.push(a_push(), DEVICE, NOW_MS)
        apns_server.refused.add(NOW_MS // 1_000)
        too_soon = await app.push(a_push(), DEVICE, NOW_MS + 5 * MINUTE_MS)
        assert (too_soon.status, too_soon.reason) == ("retry", "bad_credentials")
        assert (await app.push(a_push(), DEVICE, later_ms)).status == "delivered"
    assert apns_server.issued_s == [NOW_MS // 1_000, later_ms // 1_000]


async def test_a_key_of_another_team_leaves_the_message_for_later(apns_server):
    async with Opened(apns_server, team="OTHER12345") as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert (receipt.status, receipt.reason) == ("retry", "bad_credentials")
    assert receipt.detail == "InvalidProviderToken"


ERRORS = {
    "Unregistered": (410, ("gone", "token_dead")),
    "ExpiredToken": (410, ("gone", "token_dead")),
    "BadDeviceToken": (400, ("gone", "token_dead")),
    # The app's topic is ours to configure: no token is thrown away for it.
    "DeviceTokenNotForTopic": (400, ("refused", "DeviceTokenNotForTopic")),
    "BadTopic": (400, ("refused", "BadTopic")),
    "PayloadTooLarge": (413, ("refused", "PayloadTooLarge")),
    "TooManyRequests": (429, ("retry", "TooManyRequests")),
    "InternalServerError": (500, ("retry", "InternalServerError")),
    "ServiceUnavailable": (503, ("retry", "ServiceUnavailable")),
    "Shutdown": (503, ("retry", "Shutdown")),
}


@pytest.mark.parametrize("reason", ERRORS)
async def test_each_error_has_its_consequence(apns_server, reason):
    status, expected = ERRORS[reason]
    apns_server.answers[DEVICE] = status, {"reason": reason}
    async with Opened(apns_server) as app:
        await app.push(a_push(), GOOD, NOW_MS)
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert (receipt.status, receipt.reason) == expected


async def test_with_the_sandboxs_switch_wrong_no_token_is_thrown_away(apns_server):
    apns_server.answers[DEVICE] = 400, {"reason": "BadDeviceToken"}
    async with Opened(apns_server) as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert (receipt.status, receipt.reason) == ("refused", "BadDeviceToken")


async def test_since_when_a_token_is_dead_is_told_on(apns_server):
    apns_server.answers[DEVICE] = 410, {"reason": "Unregistered", "timestamp": 1_454_402_113_000}
    async with Opened(apns_server) as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert receipt.since_ms == 1_454_402_113_000


@pytest.mark.parametrize(
    ("reason", "is_of_one"), [("TooManyRequests", True), ("TooManyProviderTokenUpdates", False)]
)
async def test_a_quota_without_a_time_is_left_alone_for_a_minute(apns_server, reason, is_of_one):
    apns_server.answers[DEVICE] = 429, {"reason": reason}
    async with Opened(apns_server) as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
    assert (receipt.retry_after_ms, receipt.is_of_one) == (60_000, is_of_one)


@pytest.mark.parametrize("how", ["goaway", "cut"])
async def test_apple_hangs_up_and_the_next_message_finds_a_new_connection(apns_server, how):
    async with Opened(apns_server) as app:
        assert (await app.push(a_push(), DEVICE, NOW_MS)).status == "delivered"
        apns_server.hang_up = how
        lost = await app.push(a_push(), DEVICE, NOW_MS)
        assert lost.status in ("delivered", "retry")
        for _ in range(3):
            assert (await app.push(a_push(), DEVICE, NOW_MS)).status == "delivered"
    assert apns_server.connection_count == 2


@pytest.mark.parametrize("how", ["goaway", "cut"])
async def test_when_apple_hangs_up_on_many_none_is_forgotten_and_none_hangs(apns_server, how):
    async with Opened(apns_server) as app:
        apns_server.hold_count = 20
        apns_server.hang_up_after = 19  # with 19 in hand, the twentieth cuts the line
        apns_server.hang_up = how
        sends = [a_push(send_id=f"s{n}") for n in range(20)]
        receipts = await asyncio.gather(*(app.push(send, DEVICE, NOW_MS) for send in sends))
        assert {receipt.status for receipt in receipts} <= {"retry", "delivered"}
        apns_server.hold_count = 0
        again = await asyncio.gather(*(app.push(send, DEVICE, NOW_MS) for send in sends))
    assert {receipt.status for receipt in again} == {"delivered"}


async def test_an_answer_that_does_not_come_is_asked_for_again(apns_server):
    apns_server.is_silent = True
    async with Opened(apns_server, timeout_s=2.0) as app:
        receipt = await app.push(a_push(), DEVICE, NOW_MS)
        assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "timeout", True)
        apns_server.is_silent = False
        assert (await app.push(a_push(), DEVICE, NOW_MS)).status == "delivered"


async def test_a_service_that_is_down_has_received_nothing(apns_server):
    tokens = TeamTokens(p8(), KEY_ID, TEAM, "GEOENGINE_APNS_KEY")
    connection = Connection("https://127.0.0.1:1", 5.0, tls=apns_server.tls)
    app = Apple(ApnsSpec(team=TEAM, key_id=KEY_ID, topic=TOPIC), tokens, connection)
    receipt = await app.push(a_push(), DEVICE, NOW_MS)
    await app.close()
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "unreachable", False)


async def test_a_server_that_is_not_apples_is_told_nothing(apns_server):
    tokens = TeamTokens(p8(), KEY_ID, TEAM, "GEOENGINE_APNS_KEY")
    app = Apple(
        ApnsSpec(team=TEAM, key_id=KEY_ID, topic=TOPIC), tokens, Connection(apns_server.url, 5.0)
    )
    receipt = await app.push(a_push(), DEVICE, NOW_MS)
    await app.close()
    assert (receipt.status, receipt.has_left) == ("retry", False)
    assert apns_server.pushes == []


@pytest.mark.parametrize("key", ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n"])
def test_a_key_that_is_none_is_refused_by_its_variable_and_not_repeated(key):
    with pytest.raises(CredentialError, match="GEOENGINE_APNS_KEY") as caught:
        TeamTokens(key, KEY_ID, TEAM, "GEOENGINE_APNS_KEY")
    assert "hunter2" not in str(caught.value)
