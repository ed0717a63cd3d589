"""Levers of the catalogue and the environment: made, or saying what they lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from geoengine.core.book import Book
from geoengine.core.model import ApnsSpec, EmailSpec, FcmSpec, PushSpec, SecretFrom, SmsSpec
from geoengine.levers.base import cannot, lanes_of
from geoengine.service.sending.senders import senders, shortcomings, unsent
from tests.core.world import World, a_campaign, a_store, bare
from tests.levers.email.sending import a_mail
from tests.levers.push.apple_double import KEY_ID, TEAM, TOPIC, apple, p8
from tests.levers.push.google_double import pem
from tests.levers.push.test_fcm import a_push
from tests.levers.sending import NOW_MS
from tests.levers.sms.doubles import SID
from tests.levers.sms.sending import an_sms
from tests.servers.certificates import certificates

TWILIO = SmsSpec(provider="twilio", account=SID, sender="Rivoli")
SMTP = EmailSpec(server="127.0.0.1", port=1, sender="bonjour@rivoli.example", user="shop")
APPLE = ApnsSpec(team=TEAM, key_id=KEY_ID, topic=TOPIC)
ACCOUNT = (
    '{"client_email": "push@shop.example", "project_id": "shop", "private_key": '
    + repr(pem()).replace("'", '"')
    + "}"
)
SECRETS = {
    "GEOENGINE_FCM_ACCOUNT": ACCOUNT,
    "GEOENGINE_APNS_KEY": p8(),
    "GEOENGINE_TWILIO_TOKEN": "token",
    "GEOENGINE_BREVO_KEY": "key",
    "GEOENGINE_SMTP_PASSWORD": "password",
}


def a_book(**engine: Any) -> Book:
    """One campaign by all levers that reach people."""
    campaign = a_campaign(levers=["push", "sms", "email"])
    return bare(World([a_store()], campaigns=[campaign]).book(), **engine)


async def closed(levers: dict[str, Any]) -> None:
    for lever in levers.values():
        await lever.close()


async def test_what_the_catalogue_asks_for_is_made_where_the_secrets_are():
    book = a_book(push=PushSpec(fcm=FcmSpec(), apns=APPLE), sms=TWILIO, email=SMTP)
    levers = senders(book, SECRETS)
    assert set(levers) == {"log", "push", "sms", "email"}
    assert [cannot(lever) for lever in levers.values()] == ["", "", "", ""]
    assert unsent(book, levers) == {}
    await closed(levers)


async def test_what_it_does_not_ask_for_has_no_sender():
    book = a_book()
    levers = senders(book, SECRETS)
    assert unsent(book, levers) == {name: ["hello"] for name in ("push", "sms", "email")}
    await closed(levers)


def test_what_is_missing_is_told_by_the_names_of_its_variables():
    book = a_book(push=PushSpec(fcm=FcmSpec(), apns=APPLE), sms=TWILIO, email=SMTP)
    assert shortcomings(book, {}) == [
        "push: GEOENGINE_FCM_ACCOUNT is not set; GEOENGINE_APNS_KEY is not set",
        "sms: GEOENGINE_TWILIO_TOKEN is not set",
        "email: GEOENGINE_SMTP_PASSWORD is not set",
    ]
    other = a_book(sms=SmsSpec(provider="brevo", sender="Rivoli", key=SecretFrom(env="OURS")))
    assert shortcomings(other, SECRETS) == ["sms: OURS is not set"]
    assert shortcomings(a_book(push=PushSpec()), {}) == [
        "push: engine.push names neither fcm nor apns"
    ]


async def test_messages_of_a_lever_without_its_secret_are_refused_and_none_has_left():
    levers = senders(a_book(push=PushSpec(fcm=FcmSpec()), sms=TWILIO, email=SMTP), {})
    for name, send, reason in (
        ("push", a_push(), "no_fcm"),
        ("sms", an_sms(), "no_provider"),
        ("email", a_mail(), "no_server"),
    ):
        receipt = await levers[name].send(send, NOW_MS)
        assert (receipt.status, receipt.reason, receipt.has_left) == ("refused", reason, False)
    await closed(levers)


@pytest.mark.parametrize("text", ["hunter2", '{"client_email": "hunter2"}', "-----BEGIN hunter2"])
def test_a_secret_that_is_none_is_told_by_its_name_and_not_repeated(text):
    book = a_book(push=PushSpec(fcm=FcmSpec(), apns=APPLE))
    [told] = shortcomings(book, {"GEOENGINE_FCM_ACCOUNT": text, "GEOENGINE_APNS_KEY": text})
    assert told.count("GEOENGINE_") == 2
    assert "hunter2" not in told


async def test_each_provider_has_the_rate_that_the_catalogue_says():
    push = PushSpec(fcm=FcmSpec(per_s=500), apns=APPLE)
    email = EmailSpec(server="127.0.0.1", sender="bonjour@rivoli.example", connections=2, per_s=5)
    book = a_book(push=push, sms=msgspec.structs.replace(TWILIO, per_s=1), email=email)
    levers = senders(book, SECRETS)
    lanes = {
        name: lanes_of(levers[name])(send)
        for name, send in (("push", a_push()), ("sms", an_sms()), ("email", a_mail()))
    }
    lanes["apple"] = lanes_of(levers["push"])(a_push(address=f"ios:{'0f' * 32}"))
    assert {name: lane.limits.per_s for name, lane in lanes.items()} == {
        "push": 500,
        "sms": 1,
        "email": 5,
        "apple": 0,  # as many as go
    }
    assert lanes["email"].limits.width == 2
    await closed(levers)


async def test_a_key_may_stand_in_a_file_that_the_variable_names(tmp_path: Path):
    (tmp_path / "apple.p8").write_text(p8())
    (tmp_path / "account.json").write_text(ACCOUNT)
    environ = {
        "GEOENGINE_FCM_ACCOUNT": str(tmp_path / "account.json"),
        "GEOENGINE_APNS_KEY": str(tmp_path / "apple.p8"),
    }
    book = a_book(push=PushSpec(fcm=FcmSpec(), apns=APPLE))
    assert shortcomings(book, environ) == []


async def test_the_operator_may_point_a_provider_elsewhere(tmp_path: Path):
    book = a_book(push=PushSpec(apns=APPLE))
    async with apple(certificates(tmp_path)) as server:
        levers = senders(book, SECRETS | {"GEOENGINE_APNS_URL": server.url})
        receipt = await levers["push"].send(a_push(address=f"ios:{'0f' * 32}"), NOW_MS)
        await closed(levers)
    # It is a stranger to us: its certificate is that of a test, and so it is told nothing.
    assert (receipt.status, receipt.reason) == ("retry", "unreachable")


@pytest.mark.parametrize(("library", "lever"), [("httpx2", "push"), ("aiosmtplib", "email")])
def test_a_library_that_is_not_installed_is_told_with_how_to_get_it(library, lever):
    code = f"""
import sys
sys.modules[{library!r}] = None  # as if it were not there
from geoengine.core.model import ApnsSpec, EmailSpec, PushSpec
from geoengine.service.sending.senders import shortcomings
from tests.core.world import World, bare
apple = ApnsSpec(team="TEAM123456", key_id="KEY1234567", topic="com.example.shop")
email = EmailSpec(server="127.0.0.1", sender="bonjour@rivoli.example")
book = bare(World([]).book(), push=PushSpec(apns=apple), email=email)
print(shortcomings(book, {SECRETS!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"pip install 'geoengine[{lever}]'" in done.stdout, done.stderr
    assert library in done.stdout
