"""What a preview and the catalogue's checks tell of an SMS is what a provider is handed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoengine.catalog import Reading
from geoengine.cli.catalogue.messages import BASKET, ORDER, PERSON, Choice, preview
from geoengine.core.book import Book
from geoengine.core.record import Order, Timed
from geoengine.core.saying.segments import segments_sent
from geoengine.core.units import DAY_MS
from geoengine.levers.sms.lever import SmsLever
from tests.catalog.writing import STORES, reading
from tests.core.world import NOON_MS, Walk
from tests.levers.sms.sending import ADA, SID, Opened

MORE = "    url: https://example.org/shops/rivoli\n    reach: {radius_m: 100}\n    tags"
SHOP = STORES.replace("    tags", MORE)
ENGINE = f"""
engine:
  public_url: https://geo.example.com/
  sms: {{provider: twilio, account: {SID}, sender: Rivoli, stop: STOP au 36180, max_segments: 3}}
"""
TEXTS = {
    "the way": "{name}, à cinq minutes : {directions}",
    "the way and the page": "Un thé à {city} ? {directions} {url}",
    "a basket": "{basket} vous attend. {url}",
    "a code": "{code} : {directions}",
    "near one segment": "a" * 60 + " {directions}",
    "another alphabet": "C’est la fête : {directions}",
}  # fmt: skip


def a_catalogue(tmp_path: Path, text: str, *lines: str) -> Reading:
    """A shop and a campaign that says this."""
    usual = ["on: enter", "levers: [sms]", *lines, f'message: {{fr: "{text}"}}']
    campaign = "campaigns:\n  - id: tea\n" + "".join(f"    {line}\n" for line in usual)
    return reading(tmp_path, SHOP + campaign + ENGINE)


def previewed(book: Book) -> tuple[str, int]:
    """The text that is shown, and in how many segments."""
    shown = "\n".join(preview(book, Choice("", "", "", "sms")))
    text = re.search(r"^    text    (.*)  \(\d+ signs\)$", shown, re.MULTILINE)
    size = re.search(r"^    sms     (\d+) of", shown, re.MULTILINE)
    assert text and size, shown
    return text[1], int(size[1])


async def sent(book: Book, lever: SmsLever) -> tuple[str, int]:
    """The text that is handed over to Ada's phone, and in how many segments."""
    walk = Walk(book)
    await walk.agree(
        "ann", "location", "sms",
        addresses={"sms": ADA}, attributes=dict(PERSON), locale="fr",
        orders={ORDER: Order("rivoli", NOON_MS, NOON_MS + DAY_MS)},
        timed={"basket": Timed({"url": BASKET}, NOON_MS + DAY_MS)},
    )  # fmt: skip
    await walk.post((0, 2000), (120, 0))
    (row,) = await walk.state.lease(NOON_MS + 121_000, 10, "me", 1_000)
    receipt = await lever.send(row.send, NOON_MS + 121_000)
    assert receipt.status == "delivered"
    return row.send.event["data"]["message"]["body"], receipt.parts


@pytest.mark.parametrize("tracked", [(), ("track_clicks: true",)], ids=["plain", "tracked"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_preview_and_the_check_count_what_the_provider_is_handed(
    tmp_path: Path, twilio, text, tracked
):
    coupon = ("coupon: {kind: shared, code: TEA10}",) if "{code}" in text else ()
    book = a_catalogue(tmp_path, text, *tracked, *coupon).book
    shown, segment_count = previewed(book)
    async with Opened(twilio) as lever:
        body, parts = await sent(book, lever)
    (message,) = twilio.messages
    assert message["Body"] == f"{body}\nSTOP au 36180"
    assert (len(shown), segment_count) == (len(body), parts)
    assert parts == segments_sent(message["Body"]).segment_count


@pytest.mark.parametrize("tracked", [(), ("track_clicks: true",)], ids=["plain", "tracked"])
async def test_the_check_warns_of_as_many_signs_as_the_provider_is_handed(
    tmp_path: Path, twilio, tracked
):
    found = a_catalogue(tmp_path, "a" * 120 + " {directions} {url}", *tracked)
    (told,) = [warning.what for warning in found.warnings]
    async with Opened(twilio) as lever:
        await sent(found.book, lever)
    handed = segments_sent(twilio.messages[0]["Body"])
    assert f"about {handed.place_count} signs" in told
    assert f"this takes {handed.segment_count}" in told


async def test_news_of_an_order_is_previewed_without_a_way_out(tmp_path: Path, twilio):
    basis = ("about: order_ready", "legal_basis: transactional")
    book = a_catalogue(tmp_path, "a" * 150 + " {order}", *basis).book
    shown, segment_count = previewed(book)
    async with Opened(twilio) as lever:
        assert await sent(book, lever) == (shown, segment_count) == ("a" * 150 + f" {ORDER}", 1)
