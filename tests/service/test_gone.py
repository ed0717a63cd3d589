"""What providers say of addresses, and what is forgotten by age."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from geoengine.core.record import Consent, Record, Send
from geoengine.core.units import DAY_MS
from geoengine.levers.base import Receipt
from geoengine.service.consent.gone import gone
from geoengine.service.consent.keeping import look_through
from geoengine.state.base import Change, Commit
from tests.service.dispatching import a_row
from tests.service.serving import CATALOGUE, Client, served

PHONE = "+33612345678"


async def consents(client: Client, person_id: str = "ann") -> dict[str, bool]:
    told = (await client.ok("GET", f"/v1/people/{person_id}"))["consents"]
    return {purpose: consent["granted"] for purpose, consent in told.items()}


def sent(lever: str, address: str) -> Send:
    return a_row(person_id="ann", lever=lever, address=address)


async def test_an_opt_out_that_the_provider_knows_of_is_one_here(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ann", {"phone": PHONE})
        await client.ok("PUT", "/v1/people/ann/consents/sms")
        await gone(client.service.context, sent("sms", PHONE), Receipt("gone", "opted_out"))
        assert await consents(client) == {"sms": False}
        assert await client.service.context.suppression.is_stopped("sms", PHONE)


async def test_a_number_that_is_none_is_dropped_and_the_consent_stands(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ann", {"phone": PHONE})
        await client.ok("PUT", "/v1/people/ann/consents/sms")
        context = client.service.context
        await gone(context, sent("sms", "+33600000000"), Receipt("gone", "address_dead"))
        assert (await client.ok("GET", "/v1/people/ann"))["addresses"] == {"sms": PHONE}
        await gone(context, sent("sms", PHONE), Receipt("gone", "address_dead"))
        assert (await client.ok("GET", "/v1/people/ann"))["addresses"] == {}
        assert await consents(client) == {"sms": True}
        assert await context.suppression.holders("sms", PHONE) == []


async def test_with_the_last_push_token_the_consent_ends(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for device_id in ("phone", "tablet"):
            body = {"push_token": f"tok-{device_id}", "platform": "ios", "person_id": "ann"}
            await client.ok("PUT", f"/v1/devices/{device_id}", body)
        await client.ok("PUT", "/v1/people/ann/consents/push")
        context, dead = client.service.context, Receipt("gone", "token_dead")
        await gone(context, sent("push", "ios:tok-phone"), dead)
        assert list((await client.ok("GET", "/v1/people/ann"))["push_tokens"]) == ["tablet"]
        assert await consents(client) == {"push": True}
        await gone(context, sent("push", "ios:tok-other"), dead)
        assert await consents(client) == {"push": True}
        await gone(context, sent("push", "ios:tok-tablet"), dead)
        assert await consents(client) == {"push": False}
        entries = (await client.ok("GET", "/v1/people/ann/consents"))["entries"]
        assert entries[-1]["source"] == "push:token_dead"


async def test_a_token_that_was_registered_again_since_it_died_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        context, now_ms = client.service.context, client.service.context.clock()
        body = {"push_token": "tok", "platform": "ios", "person_id": "ann"}
        await client.ok("PUT", "/v1/devices/phone", body)
        await client.ok("PUT", "/v1/people/ann/consents/push")
        since_ms = (await context.state.load(["ann"]))["ann"].push_since_ms["phone"]
        assert now_ms <= since_ms <= context.clock()
        earlier = Receipt("gone", "token_dead", since_ms=since_ms - 1)
        await gone(context, sent("push", "ios:tok"), earlier)
        assert list((await client.ok("GET", "/v1/people/ann"))["push_tokens"]) == ["phone"]
        assert await consents(client) == {"push": True}
        await gone(context, sent("push", "ios:tok"), replace(earlier, since_ms=since_ms))
        assert (await client.ok("GET", "/v1/people/ann"))["push_tokens"] == {}
        assert (await client.ok("GET", "/v1/people/ann"))["push_since"] == {}
        assert await consents(client) == {"push": False}


async def test_a_token_said_to_be_dead_at_no_time_is_dropped_whenever_it_was_registered(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        dead = Receipt("gone", "token_dead")  # as FCM says it
        for token in ("old", "new"):
            body = {"push_token": token, "platform": "android", "person_id": "ann"}
            await client.ok("PUT", "/v1/devices/phone", body)
        await gone(client.service.context, sent("push", "android:old"), dead)
        assert (await client.ok("GET", "/v1/people/ann"))["push_tokens"] == {
            "phone": ["android", "new"]
        }
        await gone(client.service.context, sent("push", "android:new"), dead)
        assert (await client.ok("GET", "/v1/people/ann"))["push_tokens"] == {}


async def test_of_a_webhooks_endpoint_that_is_gone_nobody_is_told_anything(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ann/consents/push")
        await gone(client.service.context, sent("webhook", ""), Receipt("gone", "gone"))
        assert await consents(client) == {"push": True}


async def put_record(client: Client, record: Record) -> None:
    """A record as an earlier service left it."""
    state = client.service.context.state
    await state.commit(Commit(f"old {record.person_id}", (Change(record, None),)))


async def test_who_was_not_heard_of_for_years_is_forgotten_and_nobody_else(tmp_path: Path) -> None:
    kept = CATALOGUE + "  retention: {people: 30d}\n"
    async with served(tmp_path, kept) as client:
        now_ms = client.service.context.clock()
        old_ms, new_ms = now_ms - 31 * DAY_MS, now_ms - 29 * DAY_MS
        for record in (
            Record("gone", consents={"sms": Consent(False, 2, old_ms)}),
            Record("loyal", consents={"sms": Consent(True, 1, old_ms)}),
            Record("recent", devices={"recent": new_ms}),
            Record("timeless", attributes={"status": "gold"}),
        ):
            await put_record(client, record)
        assert await look_through(client.service.context) == 1
        assert (await client.call("GET", "/v1/people/gone"))[0] == 404
        for person_id in ("loyal", "recent", "timeless"):
            assert (await client.call("GET", f"/v1/people/{person_id}"))[0] == 200, person_id
        proof = await client.ok("GET", "/v1/people/gone/consents")
        assert proof["entries"][-1]["source"] == "retention"


async def test_addresses_and_consents_from_before_there_were_lists_are_seen_to_once(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        now_ms = client.service.context.clock()
        old = Consent(True, 1, now_ms - 900 * DAY_MS)
        record = Record("ann", consents={"email": old}, addresses={"sms": PHONE})
        await put_record(client, record)
        assert await look_through(client.service.context) == 0
        assert await client.service.context.suppression.holders("sms", PHONE) == ["ann"]
        assert await consents(client) == {"email": False}
