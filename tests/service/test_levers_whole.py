"""From a walk into a shop to the provider and back: each lever in a whole service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.levers.email.mail_server import MailServer, mail_server
from tests.levers.push.google_double import Google, fcm, fcm_error, google
from tests.levers.sms.doubles import SID, TOKEN, Double, provider, twilio_messages
from tests.servers.certificates import certificates
from tests.service.serving import Client, ping, served, until

SOHO = (40.7233, -74.0030)
FAR = (40.8233, -74.0030)
NUMBER, MAIL, PUSH = "+12125550123", "ada@example.org", "cXk:APA91b"
TEXT_PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
# The service reads the real clock: the hours are open whenever the test runs.
CATALOGUE = """
stores:
  - {{id: soho, name: Soho, location: {{lat: 40.7233, lon: -74.0030}}, country: US,
     setting: city, reach: {{radius_m: 300}}}}
campaigns:
  - id: hello
    on: enter
    levers: [{lever}]
    title: {{en: "Tea?"}}
    message: {{en: "Five minutes to {{store}}."}}
  - id: ready
    on: enter
    about: order_ready
    legal_basis: transactional
    levers: [{lever}]
    title: {{en: "Your order"}}
    message: {{en: "Your order {{order}} is ready at {{store}}."}}
    priority: 10
engine:
  consent: {{location: assumed}}
  public_url: https://geo.example
  lawful_hours: {{sms: {{US: "24/7"}}}}
  push: {{fcm: {{}}}}
  sms: {{provider: twilio, account: {sid}, sender: Soho, stop: Text STOP, segment_cost: 0.05,
        daily_spend: {spend}}}
  email: {{server: 127.0.0.1, port: {port}, encryption: none, sender: hello@soho.example}}
"""


@asynccontextmanager
async def shop(
    tmp_path: Path,
    lever: str,
    *,
    url: str = "",
    account: str = "",
    port: int = 1,
    spend: float = 0.05,
) -> AsyncIterator[Client]:
    """A service that speaks by one lever, and Ada, who has agreed to it."""
    environ = {
        "GEOENGINE_FCM_ACCOUNT": account,
        "GEOENGINE_FCM_URL": url,
        "GEOENGINE_TWILIO_TOKEN": TOKEN,
        "GEOENGINE_TWILIO_URL": url,
    }
    text = CATALOGUE.format(lever=lever, sid=SID, port=port, spend=spend)
    async with served(tmp_path, text, environ=environ) as client:
        for person in ("ada", "bob"):
            await client.ok("PUT", f"/v1/people/{person}", {"phone": NUMBER, "email": MAIL})
            device = {"platform": "android", "push_token": PUSH, "person_id": person}
            await client.ok("PUT", f"/v1/devices/{person}-phone", device)
            await client.ok("PUT", f"/v1/people/{person}/consents/{lever}", {"source": "app"})
        yield client


async def walk_in(client: Client, person: str = "ada") -> None:
    """Come from far away."""
    device = f"{person}-phone"
    await client.ok("POST", "/v1/pings", [
        ping(device, FAR, 240), ping(device, SOHO, 20), ping(device, SOHO, 10),
    ])  # fmt: skip


async def ended(client: Client, person: str = "ada") -> tuple[str, str]:
    """How the person's message ended."""

    async def look() -> tuple[str, str] | None:
        for send in (await client.ok("GET", "/v1/outbox"))["sends"]:
            if send["person_id"] == person and send["settled"]:
                return send["status"], send["reason"]
        return None

    return tuple(await until(look))  # type: ignore[return-value]


async def consents(client: Client) -> dict[str, Any]:
    return (await client.ok("GET", "/v1/people/ada"))["consents"]


async def test_a_push_arrives_and_a_phone_without_the_app_is_forgotten(tmp_path: Path):
    double: Google
    async with (
        google(None) as double,
        shop(tmp_path, "push", url=double.url, account=double.file) as client,
    ):
        await walk_in(client)
        assert await ended(client) == ("delivered", "")
        assert double.messages[0]["notification"]["body"] == "Five minutes to Soho."
        double.errors[PUSH] = fcm_error(404, "NOT_FOUND", fcm("UNREGISTERED"))
        await walk_in(client, "bob")
        assert await ended(client, "bob") == ("refused", "token_dead (UNREGISTERED)")

        async def is_forgotten() -> bool:
            return (await client.ok("GET", "/v1/people/bob"))["push_tokens"] == {}

        await until(is_forgotten)


async def test_an_sms_arrives_with_the_way_out_and_its_cost_and_the_day_ends(tmp_path: Path):
    double: Double
    async with (
        provider(None, TEXT_PATH, twilio_messages) as double,
        shop(tmp_path, "sms", url=double.url) as client,
    ):
        await walk_in(client)
        assert await ended(client) == ("delivered", "")
        [message] = double.messages
        assert message["Body"] == "Five minutes to Soho.\nText STOP"
        facts = {fact.kind: fact.data for fact in await client.service.context.state.facts("ada")}
        assert facts["sent"]["cost"] == 0.05
        assert facts["sent"]["parts"] == 1

        path = message["StatusCallback"].removeprefix("https://geo.example")
        told = b"MessageStatus=undelivered&ErrorCode=30003"
        status, _body, _headers = await client.using(None).call("POST", path, told)
        assert status == 200
        kinds = {fact.kind for fact in await client.service.context.state.facts("ada")}
        assert "failed" in kinds

        await walk_in(client, "bob")
        assert await ended(client, "bob") == ("refused", "spend_cap")
        assert len(double.messages) == 1


async def test_news_of_an_order_tells_nobody_how_to_opt_out_of_it(tmp_path: Path):
    async with (
        provider(None, TEXT_PATH, twilio_messages) as double,
        shop(tmp_path, "sms", url=double.url, spend=1) as client,
    ):
        order = {"order_id": "o-17", "person_id": "ada", "store_id": "soho"}
        await client.ok("POST", "/v1/orders", order)
        await walk_in(client)

        async def have_come() -> bool:
            return len(double.messages) == 2

        await until(have_come)
    assert {message["Body"] for message in double.messages} == {
        "Your order o-17 is ready at Soho.",
        "Five minutes to Soho.\nText STOP",
    }


async def test_a_number_that_said_stop_to_the_provider_hears_no_more_of_us(tmp_path: Path):
    async with (
        provider(None, TEXT_PATH, twilio_messages) as double,
        shop(tmp_path, "sms", url=double.url) as client,
    ):
        double.errors[NUMBER] = 400, {"code": 21610, "message": "unsubscribed"}
        await walk_in(client)
        assert await ended(client) == ("refused", "opted_out (code 21610)")

        async def is_withdrawn() -> bool:
            return not (await consents(client))["sms"]["granted"]

        await until(is_withdrawn)


async def test_an_e_mail_arrives_and_one_click_on_its_way_out_ends_it(tmp_path: Path):
    double: MailServer
    async with (
        mail_server(certificates(tmp_path / "tls")) as double,
        shop(tmp_path, "email", port=double.port) as client,
    ):
        await walk_in(client)
        assert await ended(client) == ("delivered", "")
        [message] = double.messages
        assert message["Subject"] == "Tea?"
        found = re.fullmatch(r"<https://geo\.example(/u/\S+)>", message["List-Unsubscribe"])
        assert found is not None
        anybody = client.using(None)
        status, _body, _headers = await anybody.call("GET", found[1])
        assert status == 200 and (await consents(client))["email"]["granted"]
        click = b"List-Unsubscribe=One-Click"
        status, _body, _headers = await anybody.call("POST", found[1], click)
        assert status == 200
        assert not (await consents(client))["email"]["granted"]


async def test_a_mailbox_that_is_not_there_is_forgotten(tmp_path: Path):
    async with (
        mail_server(certificates(tmp_path / "tls")) as double,
        shop(tmp_path, "email", port=double.port) as client,
    ):
        double.recipients[MAIL] = f"550 5.1.1 <{MAIL}>: User unknown"
        await walk_in(client)
        assert await ended(client) == ("refused", "address_dead (smtp_550 5.1.1)")

        async def is_forgotten() -> bool:
            return "email" not in (await client.ok("GET", "/v1/people/ada"))["addresses"]

        await until(is_forgotten)
