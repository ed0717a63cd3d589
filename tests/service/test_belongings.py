"""What cards hold of a person: all of it told, and none of it left once they are erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoengine.service.consent.belongings import KINDS
from geoengine.service.wallet import holding
from geoengine.state.base import Card
from tests.servers.shared import prefix, server
from tests.service.serving import CATALOGUE, Client, served, until, walk_in

WHOLE = CATALOGUE.replace(
    "campaigns:\n",
    """campaigns:
  - id: tracked
    on: enter
    zones: {stores: [rivoli]}
    priority: 9
    track_clicks: true
    coupon: {kind: pool, pool: summer, valid: 2h}
    levers: [log]
    message: {en: "Use {code}: {directions}"}
  - id: window
    on: enter
    zones: {stores: [bastille]}
    coupon: {kind: shared, code: CABINE10, valid: 2h}
    levers: [log]
    message: {en: "Use {code}"}
""",
).replace(
    "engine:\n",
    """engine:
  public_url: https://geo.example.com
  wallet:
    organization: Maison
    description: Club
    apple: {pass_type: pass.com.example.club, team: TEAM123456}
""",
)
PHONE = "a" * 32


@pytest.fixture(params=["local", "valkey"])
def where(request: pytest.FixtureRequest) -> str | None:
    """One state after the other."""
    if request.param == "local":
        return None
    return f"{server('valkey').url}?prefix={prefix()}"


async def cards(client: Client) -> list[Card]:
    """Every card there is."""
    page = await client.service.context.state.cards_from("")
    assert not page.next
    return page.cards


async def fill(client: Client) -> None:
    """Have somebody own a card of each kind; the pass from when her device was nobody's."""
    await client.ok("POST", "/v1/pools/summer/codes", {"codes": ["SUN-1"]})
    context = client.service.context
    await context.coupons.look(context.worker, context.metrics)
    await client.ok("POST", "/v1/orders", {"order_id": "A 17", "person_id": "ada",
                                           "store_id": "rivoli"})  # fmt: skip
    await client.ok("PUT", "/v1/people/phone/pass")
    keys = await holding.keys_of(context.state)
    serial, now_ms = keys.serial("phone"), context.clock()
    assert await holding.register(context.state, keys, serial, PHONE, "b" * 64, now_ms)
    await client.ok("PUT", "/v1/devices/phone", {"person_id": "ada"})
    await client.ok("POST", "/v1/pings", walk_in("phone", person_id="ada"))
    sale = {"code": "CABINE10", "store_id": "bastille", "redemption_id": "r1", "amount": "8"}
    assert (await client.ok("POST", "/v1/redemptions", sale | {"person_id": "ada"}))["first"]

    async def is_sent() -> bool:
        facts = await context.state.facts("ada")
        return any(fact.kind == "sent" for fact in facts)

    await until(is_sent)


async def test_all_that_cards_hold_of_a_person_is_told_and_goes_with_them(
    tmp_path: Path, where: str | None
) -> None:
    async with served(tmp_path, WHOLE, state=where) as client:
        await fill(client)
        kinds = {card.name.partition("/")[0] for card in await cards(client) if card.owner}
        assert kinds == KINDS.keys()
        told = await client.ok("GET", "/v1/people/ada")
        assert told == await client.ok("GET", "/v1/people/phone")
        assert told["cards"].keys() == {kind for kind, _ in KINDS.values()}
        look(told["cards"])

        await client.ok("DELETE", "/v1/people/ada")
        assert [card.name for card in await cards(client) if card.owner] == []
        assert not [card for card in await cards(client) if card.name.startswith(holding.PHONES)]
        assert (await client.call("GET", "/v1/people/ada"))[0] == 404


def look(told: dict[str, Any]) -> None:
    """Each kind says what it is about, in words and times."""
    (held,), (code,), (claim,) = told["passes"], told["codes"], told["claims"]
    assert held["phones"] == {PHONE: "b" * 64} and held["updated"].endswith("Z")
    assert (code["code"], code["campaign_id"], code["store_id"]) == ("SUN-1", "tracked", "rivoli")
    assert code["until"] and code["kept_until"] > code["until"]
    assert (claim["pool_id"], claim["code"]) == ("summer", "SUN-1")
    (used,), (order,), (link,) = told["redemptions"], told["orders"], told["links"]
    assert (used["campaign_id"], used["redemption"]["amount"]) == ("window", "8")
    assert used["redemption"]["at"].endswith("Z")
    assert (order["order_id"], order["store_id"]) == ("A 17", "rivoli")
    assert (link["campaign_id"], link["lever"], link["kind"]) == ("tracked", "log", "directions")


async def test_a_kind_of_card_that_nobody_has_described_is_told_all_the_same(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        state = client.service.context.state
        await state.put_card(Card("new/1", b"\x92\x01\xa1x", owner="ada", until_ms=1_000), 0)
        await state.put_card(Card("raw/1", b"\xc1", owner="ada"), 0)
        assert (await client.ok("GET", "/v1/people/ada"))["cards"] == {
            "new": [{"held": [1, "x"], "kept_until": "1970-01-01T00:00:01.000Z"}],
            "raw": [{"held": "wQ=="}],
        }
