"""Messages: what is compiled says what the template says."""

from string import Formatter
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import Location, Store
from geoengine.core.saying.actions import directions_url
from geoengine.core.saying.templates import PLACEHOLDERS, Scene, in_language, placeholders, render
from tests.core.world import a_store

SHOP = a_store(phone="+33 1", url="https://example.org/")
SCENE = Scene(
    SHOP, "", "walk", 5.0, "AB12", {"name": "Ann", "city": 7}, "A 17", "https://example.org/b"
)
VALUES = {
    "store": "Shop",
    "directions": directions_url(SHOP, "walk"),
    "minutes": "5",
    "code": "AB12",
    "phone": "+33 1",
    "url": "https://example.org/",
    "name": "Ann",
    "city": "7",
    "order": "A 17",
    "basket": "https://example.org/b",
}
PIECES = [f"{{{name}}}" for name in sorted(PLACEHOLDERS)] + ["{{", "}}", " ", "é", "to ", "{other}"]


def filled_in(template: str) -> str:
    """The specification: parsed anew, a placeholder without a value is nothing."""
    parts = []
    for text, name, _spec, _conversion in Formatter().parse(template):
        parts += [text, VALUES.get(name or "", "")]
    return "".join(parts).strip()


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_a_template_says_the_same_compiled(template: str):
    assert render(template, SCENE) == filled_in(template)


def test_every_placeholder_has_a_word():
    assert placeholders(" ".join(PIECES)) == PLACEHOLDERS | {"other"}
    assert set(VALUES) == PLACEHOLDERS


@pytest.mark.parametrize("name", sorted(PLACEHOLDERS))
def test_what_is_not_known_is_left_out(name: str):
    nothing = Scene(None, "", None, float("nan"), "", {})
    assert render(f"[{{{name}}}]", nothing) == "[]"


@given(
    st.dictionaries(st.sampled_from(["fr", "en", "en-GB", "pt_BR", "EN-us"]), st.text(max_size=2)),
    st.sampled_from(["fr", "FR-fr", "fr_FR", "en-GB", "en_GB-x", "pt_pt", "pt-BR", "de", "", "-"]),
)
def test_a_language_is_the_locales_then_its_own_then_the_first(texts: dict, locale: str):
    def shared(name: str) -> int:
        """How many parts of the two are the same, from the first on."""
        ours, theirs = (text.lower().replace("_", "-").split("-") for text in (name, locale))
        alike = [a == b for a, b in zip(ours, theirs, strict=False)]
        count = [*alike, False].index(False)
        return 2 * count + (count == len(ours) > 0) if count else 0  # whole before another country

    chosen = max(texts, key=shared, default="")
    assert in_language(texts, locale) == (chosen, texts.get(chosen, ""))


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from([None, "walk", "drive"]))
def test_the_way_there_is_a_well_formed_link(lat: float, lon: float, mode: str | None):
    query = {"api": "1", "destination": f"{lat + 0.0:.6f},{lon + 0.0:.6f}"}
    if mode:
        query["travelmode"] = {"walk": "walking", "drive": "driving"}[mode]
    shop = Store(id="shop", name="Shop", location=Location(lat=lat, lon=lon))
    assert directions_url(shop, mode) == f"https://www.google.com/maps/dir/?{urlencode(query)}"
