"""The push lever: each token by the service that gave it out."""

from __future__ import annotations

import asyncio

import pytest

from geoengine.levers.base import Lane, lanes_of
from geoengine.levers.push.lever import PushLever, service_of
from tests.levers.push.test_apple import DEVICE
from tests.levers.push.test_apple import Opened as AppleOpened
from tests.levers.push.test_fcm import Opened as FcmOpened
from tests.levers.push.test_fcm import a_push
from tests.levers.sending import NOW_MS


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("android:cXk:APA91b", ("fcm", "cXk:APA91b")),
        ("web:dYk:APA91c", ("fcm", "dYk:APA91c")),
        (f"ios:{DEVICE}", ("apns", DEVICE)),
        (f"ios:{DEVICE.upper()}", ("apns", DEVICE.upper())),
        ("ios:eZk:APA91d", ("fcm", "eZk:APA91d")),  # an iPhone whose app registers with Firebase
        (f":{DEVICE}", ("apns", DEVICE)),
        (":fZk:APA91e", ("fcm", "fZk:APA91e")),
        (f"android:{DEVICE}", ("fcm", DEVICE)),
    ],
)
def test_a_token_goes_to_the_service_that_gave_it_out(address, expected):
    assert service_of(address) == expected


async def test_both_services_serve_one_lever_each_by_a_lane_of_its_own(fcm_server, apns_server):
    async with FcmOpened(fcm_server) as fcm, AppleOpened(apns_server) as apple:
        lever = PushLever({"fcm": fcm, "apns": apple})
        sends = [a_push(), a_push(address=f"ios:{DEVICE}")]
        receipts = [await lever.send(send, NOW_MS) for send in sends]
        lanes: list[Lane] = [lanes_of(lever)(send) for send in sends]
    assert [receipt.status for receipt in receipts] == ["delivered", "delivered"]
    assert (len(fcm_server.messages), len(apns_server.pushes)) == (1, 1)
    assert [lane.name for lane in lanes] == ["fcm", "apns"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [("android:cXk:APA91b", "no_fcm"), (f"ios:{DEVICE}", "no_apns"), ("android:", "bad_address")],
)
async def test_a_token_without_its_service_is_refused_and_nothing_has_left(address, reason):
    lever = PushLever({}, "push: GEOENGINE_FCM_ACCOUNT is not set")
    receipt = await lever.send(a_push(address=address), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("refused", reason, False)


async def test_an_attempt_of_several_requests_takes_no_longer_than_the_lever_says(fcm_server):
    fcm_server.silent = asyncio.Event()
    async with FcmOpened(fcm_server) as fcm:  # a request alone may take ten seconds
        lever = PushLever({"fcm": fcm}, timeout_s=0.2)
        receipt = await lever.send(a_push(), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "timeout", True)


async def test_an_attempt_that_is_cut_off_leaves_apples_connection_fit_for_the_next(apns_server):
    async with AppleOpened(apns_server, timeout_s=10.0) as apple:
        lever = PushLever({"apns": apple}, timeout_s=0.3)
        send = a_push(address=f"ios:{DEVICE}")
        assert (await lever.send(send, NOW_MS)).status == "delivered"
        apns_server.is_silent = True
        assert (await lever.send(send, NOW_MS)).reason == "timeout"
        apns_server.is_silent = False
        receipts = await asyncio.gather(*(lever.send(send, NOW_MS) for _ in range(10)))
    assert {receipt.status for receipt in receipts} == {"delivered"}
