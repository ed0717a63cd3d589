"""The push lever: each token by the service that gave it out."""

from __future__ import annotations

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
