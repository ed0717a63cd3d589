"""What is said: the button by platform, several messages, links that name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import EngineSpec, Message
from geoengine.core.record import Record
from geoengine.core.saying.actions import call_to_action, url_of
from geoengine.core.saying.links import TOKEN_BYTES, token
from geoengine.core.saying.templates import in_language
from geoengine.core.saying.variants import chosen
from geoengine.service.links import is_person, opened, platform_of, store_of, target
from tests.core.world import Walk, World, a_campaign, a_store

SHOP = a_store(phone="+33 1", url="https://example.org/", app_link="https://example.org/app")
THREE = [Message(id=name, message={"en": name}) for name in ("one", "two", "three")]
KEY, TRIGGER = b"k" * 32, "85fa302f6724c57123a69acd"


# --- the button ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "platform", "begins"),
    [
        ("directions", "", "https://www.google.com/maps/dir/?api=1&destination=48.858300%2C2.347"),
        ("directions", "android", "https://www.google.com/maps/dir/"),
        ("directions", "web", "https://www.google.com/maps/dir/"),
        ("directions", "ios", "https://maps.apple.com/?daddr=48.858300%2C2.347000&dirflg=w"),
        ("call", "ios", "tel:+331"),
        ("web", "android", "https://example.org/"),
        ("app", "ios", "https://example.org/app"),
        ("app", "", "https://example.org/app"),
        ("app", "web", "https://example.org/"),
    ],
)
def test_a_call_to_action_leads_where_the_platform_can_follow(
    kind: str, platform: str, begins: str
):
    assert url_of(kind, SHOP, "walk", platform).startswith(begins)


@pytest.mark.parametrize(
    ("link", "platform", "leads"),
    [
        ("shop://here", "ios", "shop://here"),
        ("shop://here", "", "https://example.org/"),  # nobody knows of an app there
        ("shop://here", "web", "https://example.org/"),
        (None, "ios", "https://example.org/"),
    ],
)
def test_where_there_can_be_no_app_the_stores_page_opens(link: str, platform: str, leads: str):
    shop = a_store(url="https://example.org/", app_link=link)
    assert url_of("app", shop, None, platform) == leads


def test_the_button_tells_of_all_platforms_where_they_differ():
    action = call_to_action("directions", SHOP, "drive", "ios")
    assert action["url"] == action["urls"]["ios"] != action["urls"]["android"]
    assert action["urls"]["geo"].startswith("geo:48.858300,2.347000?q=")
    assert call_to_action("call", SHOP, "drive") == {"kind": "call", "url": "tel:+331"}


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("+33 (0)1 99-00.00 01", "tel:+33199000001"),
        ("01 99 00 00 01", "tel:0199000001"),
        ("(0)1 99", "tel:0199"),
        ("*31", "tel:*31"),
        ("on request", ""),
    ],
)
def test_a_number_is_dialled_whichever_way_it_is_written(written: str, dialled: str):
    assert url_of("call", a_store(phone=written), None) == dialled


@pytest.mark.parametrize(
    ("locale", "spoken"),
    [
        ("FR", "fr"),
        ("fr_CA", "fr"),
        ("pt_br", "pt-BR"),
        ("pt-PT", "pt-BR"),  # of the language, if not of the country
        ("zh-Hant-TW", "zh-Hant"),
        ("de", "fr"),  # the first written
        ("", "fr"),
    ],
)
def test_a_text_is_found_for_a_locale_whichever_way_it_is_written(locale: str, spoken: str):
    texts = {"fr": "Bonjour", "pt-BR": "Oi", "zh-Hant": "..."}
    assert in_language(texts, locale) == (spoken, texts[spoken])


async def test_directions_are_for_the_phone_that_the_push_token_is_of():
    ann = Walk(World([SHOP], campaigns=[a_campaign(message={"en": "{directions}"})]).book())
    await ann.agree("ann", push_tokens={"ann": ["ios", "token"]})
    await ann.post((0, 2000), (60, 0))
    (fired,) = [event for event in ann.events if event.type == "trigger.fired"]
    assert fired.data["message"]["body"].startswith("https://maps.apple.com/")
    assert fired.data["call_to_action"]["url"] == fired.data["message"]["body"]


# --- several messages ---------------------------------------------------------------------------


async def heard(count: int, person: str = "ann", **campaign: object) -> list[str]:
    """The messages that somebody hears at so many entries, as their events tell."""
    spec = a_campaign(message={}, messages=THREE, **campaign)
    walk = Walk(World([SHOP], campaigns=[spec]).book())
    for ix in range(count):
        await walk.post((ix * 9_000, 2000), (ix * 9_000 + 60, 0), device=person)
        await walk.post((ix * 9_000 + 500, 2000), device=person)
    fired = [event.data for event in walk.events if event.type == "trigger.fired"]
    assert [one["message"]["body"] for one in fired] == [one["variant"] for one in fired]
    return [one["variant"] for one in fired]


async def test_in_rotation_no_message_comes_again_before_all_were_heard():
    assert await heard(7) == ["one", "two", "three"] * 2 + ["one"]


async def test_in_a_test_everybody_always_hears_the_same_one():
    for person in ("ann", "bob", "cleo", "dan"):
        assert len(set(await heard(3, person, choose="test"))) == 1


def test_a_test_gives_each_message_its_share_of_people():
    weights = [Message(id="a", message={"en": "a"}), Message(id="b", weight=3, message={"en": "b"})]
    spec = a_campaign(message={}, messages=weights, choose="test")
    told = [chosen(spec, Record(f"p{ix}")).id for ix in range(4_000)]
    assert 900 < told.count("a") < 1_100  # four standard deviations of a quarter of 4,000


def test_a_message_of_no_weight_is_said_to_nobody():
    none = [Message(id="a", message={"en": "a"}), Message(id="b", weight=0, message={"en": "b"})]
    spec = a_campaign(message={}, messages=none, choose="test")
    assert {chosen(spec, Record(f"p{ix}")).id for ix in range(500)} == {"a"}


# --- short links --------------------------------------------------------------------------------


def test_a_token_says_what_it_was_made_of_and_names_nobody():
    book = World([SHOP]).book()
    link = opened(token(KEY, "directions", "walk", TRIGGER, "shop"), KEY)
    assert link is not None
    assert (link.kind, link.mode, link.trigger_id) == ("directions", "walk", TRIGGER)
    assert store_of(link, None, book) is book.stores[0]
    assert target(link, None, book, "ios").startswith("https://maps.apple.com/")


@given(st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES), st.integers(0, 35), st.booleans())
def test_a_token_that_was_touched_is_none(noise: bytes, at: int, is_noise: bool):
    made = token(KEY, "web", None, TRIGGER, "shop")
    changed = made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :]
    assert opened(noise.hex() if is_noise else changed, KEY) is None
    assert opened(made, b"another") is None


@pytest.mark.parametrize("text", ["", "x", "é" * 36, "A" * 36, "A" * 4_000, "=" * 36])
def test_what_is_no_token_at_all_is_none(text: str):
    assert opened(text, KEY) is None


def test_a_link_to_a_store_that_is_gone_leads_nowhere():
    link = opened(token(KEY, "directions", None, TRIGGER, "gone"), KEY)
    assert link is not None
    assert target(link, None, World([SHOP]).book(), "") == ""


async def test_every_link_of_a_tracked_message_is_short():
    engine = EngineSpec(public_url="https://geo.example.com/")
    spec = a_campaign(message={"en": "{directions} {url} {phone}"}, track_clicks=True)
    book = World([SHOP], campaigns=[spec], engine=engine).book().keyed(KEY)
    ann = Walk(book)
    await ann.post((0, 2000), (60, 0))
    (fired,) = [event.data for event in ann.events if event.type == "trigger.fired"]
    way, page, phone = fired["message"]["body"].split(" ", 2)
    assert phone == "+33 1"
    button = fired["call_to_action"]["url"]
    for url, kind in ((way, "directions"), (page, "web"), (button, "directions")):
        base, _, made = url.rpartition("/")
        link = opened(made, KEY)
        assert base == "https://geo.example.com/r" and link is not None
        assert (link.kind, link.trigger_id) == (kind, fired["trigger_id"])
    assert "ann" not in way


@pytest.mark.parametrize(
    ("agent", "platform", "counts"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/604.1", "ios", True),
        ("Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/141.0 Mobile", "android", True),
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0", "web", True),
        ("facebookexternalhit/1.1 Facebot Twitterbot/1.0", "web", False),
        ("WhatsApp/2.25 A", "web", False),
        ("curl/8.9", "web", False),
        ("", "web", False),
    ],
)
def test_machines_that_look_at_links_for_people_are_not_people(
    agent: str, platform: str, counts: bool
):
    assert platform_of(agent) == platform
    assert is_person(agent, "") is counts
    assert not is_person(agent, "prefetch;prerender")
