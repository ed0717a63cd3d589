"""Coupons from the message to the till and back, over real sockets and a real state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.offers.redeeming import OFFLINE_MS, Issued
from geoengine.core.record import HeldCoupon, Record
from geoengine.core.units import DAY_MS, HOUR_MS
from geoengine.service.coupons.vouchers import opened, sealed
from geoengine.state.amending import amend
from geoengine.state.base import State
from tests.service.serving import CATALOGUE, Client, now_s, served, walk_in

COUPONS = CATALOGUE.replace(
    '    message: {en: "Five minutes to {store}."}\n  - id: text',
    '    message: {en: "Use {code}"}\n    coupon: COUPON\n  - id: text',
).replace("engine:\n", "engine:\n  measure: {consent: location}\n")
TILL = "/v1/redemptions"


def catalogue(coupon: str) -> str:
    """A catalogue whose campaign `hello` gives this."""
    return COUPONS.replace("COUPON", coupon)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A service whose campaign gives unique coupons."""
    async with served(tmp_path, catalogue("{kind: unique, valid: 2h}")) as client:
        yield client


async def given(client: Client, person: str = "ann") -> str:
    """Walk into the zone, wait until the message has left; the code that it told."""
    told = await client.ok("POST", "/v1/pings", walk_in(person))
    (fired,) = [one for one in told["events"] if one["type"].endswith("trigger.fired")]
    await settled(client)
    return str(fired["data"]["coupon"]["code"])


async def settled(client: Client) -> list[Any]:
    """Wait until no message waits; all of them."""
    while True:
        rows = (await client.ok("GET", "/v1/outbox"))["sends"]
        if rows and all(row["status"] not in ("pending", "leased") for row in rows):
            return list(rows)
        await asyncio.sleep(0.01)


def state_of(client: Client) -> State:
    return client.service.context.state


async def facts(client: Client, person: str = "ann") -> list[tuple[str, Any]]:
    found = await state_of(client).facts(person)
    return [(one.kind, one.data) for one in found if one.kind in ("redeemed", "taken_back")]


async def refusal(client: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Status and kind of a refusal."""
    status, told, _ = await client.call(method, path, body)
    return status, told["type"].rpartition(":")[2]


async def test_a_code_is_redeemed_once_and_everybody_hears_of_the_first(client: Client) -> None:
    code = await given(client)
    look = await client.ok("GET", f"/v1/coupons/{code}")
    assert (look["status"], look["campaign_id"], look["redemption"]) == ("valid", "hello", None)
    sale = {"code": code.lower(), "store_id": "rivoli", "amount": 12.5, "redemption_id": "r1"}
    first = await client.ok("POST", TILL, sale)
    assert first["first"] is True and first["amount"] == "12.5" and first["currency"] == "EUR"
    again = await client.ok("POST", TILL, sale)
    assert again == first
    other = await client.ok("POST", TILL, sale | {"redemption_id": "r2", "amount": "99"})
    assert other == first | {"first": False}
    late = await client.ok("POST", TILL, {"code": code, "store_id": "bastille"})
    assert late == first | {"first": False}
    assert await facts(client) == [
        ("redeemed", {"coupon": "unique", "amount": 12.5, "currency": "EUR"})
    ]
    assert (await client.ok("GET", f"/v1/coupons/{code}"))["status"] == "redeemed"
    (held,) = (await client.ok("GET", "/v1/people/ann/coupons"))["coupons"]
    assert (held["code"], held["status"]) == (code, "redeemed")


async def test_a_code_counts_at_its_store_only(client: Client) -> None:
    code = await given(client)
    wrong = {"code": code, "store_id": "bastille"}
    assert await refusal(client, "POST", TILL, wrong) == (409, "coupon_wrong_store")
    path = f"/v1/coupons/{code}?store_id=bastille"
    assert await refusal(client, "GET", path) == (409, "coupon_wrong_store")
    assert (await client.ok("POST", TILL, wrong | {"store_id": "rivoli"}))["first"]


async def test_an_unknown_code_is_unknown(client: Client) -> None:
    asked = {"code": "AAAABBBBCCCC", "store_id": "rivoli"}
    assert await refusal(client, "POST", TILL, asked) == (404, "coupon_unknown")
    assert await refusal(client, "GET", "/v1/coupons/AAAABBBBCCCC") == (404, "coupon_unknown")
    forged = asked | {"code": "GE1.e30.AAAA"}
    assert await refusal(client, "POST", TILL, forged) == (404, "coupon_unknown")


async def test_a_tills_key_speaks_for_its_store_and_an_apps_for_none(client: Client) -> None:
    code = await given(client)
    till, app = client.using("bound"), client.using("app")
    assert await refusal(app, "POST", TILL, {"code": code, "store_id": "rivoli"}) == (
        403,
        "forbidden",
    )
    assert await refusal(client.using("gateway"), "POST", TILL, {"code": code}) == (
        403,
        "forbidden",
    )
    elsewhere = {"code": code, "store_id": "bastille"}
    assert await refusal(till, "POST", TILL, elsewhere) == (403, "forbidden")
    assert (await till.ok("POST", TILL, {"code": code}))["store_id"] == "rivoli"


@pytest.mark.parametrize("amount", ["NaN", "-1", "1.23456", "1e12", "Infinity"])
async def test_an_amount_that_is_none_is_refused(client: Client, amount: str) -> None:
    sale = {"code": "A", "store_id": "rivoli", "amount": amount}
    assert await refusal(client, "POST", TILL, sale) == (400, "malformed")


async def test_a_till_that_was_offline_says_when(client: Client) -> None:
    code = await given(client)
    sale = {"code": code, "store_id": "rivoli"}
    for at_s in (now_s() - OFFLINE_MS / 1000 - 60, now_s() + 3_600):
        assert await refusal(client, "POST", TILL, sale | {"at": at_s}) == (400, "malformed")
    early = sale | {"at": now_s() - 3_600}
    assert await refusal(client, "POST", TILL, early) == (409, "coupon_not_yet")
    assert (await client.ok("POST", TILL, sale | {"at": now_s() - 1}))["first"]


async def test_after_a_mistake_a_code_is_good_again_and_after_a_refund_it_is_not(
    client: Client,
) -> None:
    code = await given(client)
    sale = {"code": code, "store_id": "rivoli", "amount": "5.00"}
    path = f"/v1/coupons/{code}/redemption"
    assert await refusal(client, "DELETE", path + "?reason=refund") == (404, "redemption_unknown")
    first = await client.ok("POST", TILL, sale | {"redemption_id": "r1"})
    back = await client.ok("DELETE", path + "?reason=mistake")
    assert (back["redemption_id"], back["reason"]) == ("r1", "mistake")
    (held,) = (await client.ok("GET", "/v1/people/ann/coupons"))["coupons"]
    assert held["status"] == "valid"
    second = await client.ok("POST", TILL, sale | {"redemption_id": "r2"})
    assert second["first"] and second["redemption_id"] == "r2" != first["redemption_id"]
    back = await client.ok("DELETE", path + "?reason=refund")
    assert await client.ok("DELETE", path + "?reason=refund") == back
    third = await client.ok("POST", TILL, sale | {"redemption_id": "r3"})
    assert (third["first"], third["status"], third["redemption_id"]) == (False, "refunded", "r2")
    kinds = [kind for kind, _data in await facts(client)]
    assert sorted(kinds) == ["redeemed", "redeemed", "taken_back", "taken_back"]


async def test_a_receipt_that_brings_its_code_again_after_a_mistake_counts_again(
    client: Client,
) -> None:
    sale = {"code": await given(client), "store_id": "rivoli", "amount": "5", "redemption_id": "r"}
    path = f"/v1/coupons/{sale['code']}/redemption?reason=mistake"
    assert (await client.ok("POST", TILL, sale))["first"]
    back = await client.ok("DELETE", path)
    assert await client.ok("DELETE", path) == back, "a till whose line broke asks again"
    assert (await client.ok("POST", TILL, sale))["first"]
    assert (await client.ok("POST", TILL, sale))["first"]
    kinds = [kind for kind, _data in await facts(client)]
    assert sorted(kinds) == ["redeemed", "redeemed", "taken_back"]


async def test_a_shared_code_without_an_end_is_looked_at(tmp_path: Path) -> None:
    async with served(tmp_path, catalogue("{kind: shared, code: TEA10}")) as client:
        look = await client.ok("GET", "/v1/coupons/tea-10")
    assert (look["status"], look["valid_from"], look["valid_until"]) == ("valid", None, None)


async def test_a_till_takes_back_only_what_it_took(client: Client) -> None:
    code = await given(client)
    await client.ok("POST", TILL, {"code": code, "store_id": "rivoli", "redemption_id": "r1"})
    path = f"/v1/coupons/{code}/redemption?reason=refund"
    wrong = path + "&redemption_id=r2"
    assert await refusal(client, "DELETE", wrong) == (404, "redemption_unknown")
    assert (await client.using("bound").ok("DELETE", path))["redemption_id"] == "r1"
    assert await refusal(client, "DELETE", f"/v1/coupons/{code}/redemption") == (
        400,
        "bad_parameter",
    )


async def test_coupons_are_shown_to_a_device_of_their_holder(client: Client) -> None:
    code = await given(client)
    app = client.using("app")
    path = "/v1/people/ann/coupons"
    assert await refusal(app, "GET", path) == (403, "forbidden")
    assert await refusal(app, "GET", path + "?device_id=bob") == (403, "forbidden")
    (held,) = (await app.ok("GET", path + "?device_id=ann"))["coupons"]
    assert (held["code"], held["campaign_id"], held["store_id"]) == (code, "hello", "rivoli")


async def test_what_a_person_is_shown_is_good_while_its_message_still_waits(client: Client) -> None:
    context, now_ms = client.service.context, round(now_s() * 1_000)
    waiting = HeldCoupon("t1", "hello", "rivoli", "WAITINGCODE2", now_ms, now_ms + HOUR_MS)
    await client.ok("POST", "/v1/pings", walk_in("ann"))
    await settled(client)

    def fired(record: Record) -> None:
        record.coupons.append(waiting)

    await amend(context.state, context.book, "ann", fired, now_ms)
    sale = {"code": "WAITINGCODE2", "store_id": "rivoli", "redemption_id": "r1"}
    assert await refusal(client, "POST", TILL, sale) == (404, "coupon_unknown")
    shown = (await client.ok("GET", "/v1/people/ann/coupons"))["coupons"]
    assert "WAITINGCODE2" in [one["code"] for one in shown]
    assert (await client.ok("POST", TILL, sale))["first"]
    shown = (await client.ok("GET", "/v1/people/ann/coupons"))["coupons"]
    assert [one["status"] for one in shown if one["code"] == "WAITINGCODE2"] == ["redeemed"]
    again = await client.ok("POST", TILL, sale | {"redemption_id": "r2"})
    assert not again["first"], "who looks does not make a code good again"


async def test_a_voucher_is_checked_without_asking_and_redeemed_like_its_code(
    client: Client,
) -> None:
    code = await given(client)
    key = (await client.using("bound").ok("GET", "/v1/till-key"))["public_key"]
    context = client.service.context
    issued = await context.coupons.till.look(code)
    assert isinstance(issued, Issued)
    text = sealed(issued, context.book.coupon_key)
    voucher = opened(text, key)
    assert voucher is not None and voucher.code == code
    assert voucher.why_not("rivoli", int(now_s() * 1000) + 1_000) == ""
    slow_ms = int((now_s() - 240) * 1000)  # a till whose clock is four minutes behind
    assert voucher.why_not("rivoli", slow_ms) == ""
    assert voucher.why_not("rivoli", slow_ms - 120_000) == "coupon_not_yet"
    assert voucher.why_not("bastille", int(now_s() * 1000)) == "coupon_wrong_store"
    assert voucher.why_not("rivoli", voucher.until_s * 1000) == "coupon_expired"
    assert opened(text[:-4] + "AAAA", key) is None
    status, image, headers = await client.call("GET", f"/v1/coupons/{code}.svg?symbology=voucher")
    assert status == 200 and headers["Content-Type"] == "image/svg+xml" and b"<svg" in image
    assert (await client.ok("POST", TILL, {"code": text, "store_id": "rivoli"}))["code"] == code


@pytest.mark.parametrize("symbology", ["qr", "code128"])
async def test_a_code_is_drawn(client: Client, symbology: str) -> None:
    path = f"/v1/coupons/6FZRY45IUBDC.png?symbology={symbology}"
    status, image, headers = await client.using("app").call("GET", path)
    assert status == 200 and headers["Content-Type"] == "image/png"
    assert image.startswith(b"\x89PNG\r\n")


async def test_what_cannot_be_drawn_is_refused(client: Client) -> None:
    path = "/v1/coupons/6FZRY45IUBDC"
    assert await refusal(client, "GET", path + ".png?symbology=ean13") == (400, "bad_parameter")
    assert await refusal(client, "GET", path + ".gif") == (404, "not_found")


async def test_an_erased_persons_codes_are_unknown(client: Client) -> None:
    code = await given(client)
    await client.ok("DELETE", "/v1/people/ann")
    asked = {"code": code, "store_id": "rivoli"}
    assert await refusal(client, "POST", TILL, asked) == (404, "coupon_unknown")


async def test_a_codes_card_outlives_the_code(client: Client) -> None:
    await given(client)
    (card,) = (await state_of(client).cards_from("coupon/")).cards
    assert card.owner == "ann" and card.until_ms > now_s() * 1000 + 90 * DAY_MS
