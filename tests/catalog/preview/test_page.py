"""The page as bytes: whole, closed to the network, and with every text as text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from geoengine.catalog import read
from geoengine.catalog.preview.page import page
from geoengine.catalog.preview.scene import scene_of
from tests.catalog.preview.scenes import SHOPS, streets
from tests.catalog.writing import write

HOSTILE = "</script><script>alert(1)</script><!--<script>"


class Reader(HTMLParser):
    """The elements of a page, with their text; what may load something, by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data


def shown(directory: Path, title: str = "shops") -> Reader:
    return Reader(page(scene_of(read(directory)), title).decode())


def told(reader: Reader) -> dict[str, Any]:
    scene: dict[str, Any] = json.loads(reader.texts["script"][0])
    return scene


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return shown(streets(tmp_path))


def test_the_page_loads_nothing(reader: Reader):
    loading = [
        (tag, name, value)
        for tag, attributes in reader.attributes
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "style") or name.startswith("on")
    ]
    assert loading == []
    assert "url(" not in reader.texts["style"][0] and "@import" not in reader.texts["style"][0]


def test_the_policy_names_the_page_s_own_style_and_script_and_nothing_else(reader: Reader):
    (policy,) = (
        attributes["content"]
        for tag, attributes in reader.attributes
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and policy.startswith("default-src 'none';")
    own = {reader.texts["style"][0], reader.texts["script"][1]}
    digests = {b64encode(sha256(text.encode()).digest()).decode() for text in own}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == digests
    assert "unsafe" not in policy


def test_a_name_stays_text_whatever_it_looks_like(tmp_path: Path):
    text = SHOPS.replace("Maison Rivoli", HOSTILE)
    reader = shown(write(tmp_path, {"a.yaml": text}), title=HOSTILE)
    assert told(reader)["names"][0] == HOSTILE
    assert told(reader)["title"] == HOSTILE
    assert len(reader.texts["script"]) == 2
    assert reader.texts["title"] == [f"Zones of {HOSTILE}"]


def test_what_stands_for_nothing_is_null(reader: Reader):
    scene = told(reader)
    assert scene["agreement"][1] is None and 0 < scene["agreement"][0] < 1
    assert scene["people"] == [None] * 4
    assert scene["shapes"][1] == "" and scene["shapes"][0] != ""


def test_a_reason_that_many_have_is_told_once(tmp_path: Path):
    rows = "".join(f"s{ix},S,48.85,{2 + ix / 100}\n" for ix in range(50))
    text = "stores:\n  - import: s.csv\n    defaults: {setting: city}\n"
    scene = told(shown(write(tmp_path, {"a.yaml": text, "s.csv": "id,name,lat,lon\n" + rows})))
    assert len(scene["reasons"]) == 1 and scene["whyIx"] == [0] * 50


def test_the_square_around_an_area_holds_its_reach_and_its_circle(reader: Reader):
    scene = told(reader)
    assert scene["extentM"][1] == pytest.approx(scene["circleM"][1], rel=0.01)
    assert scene["extentM"][0] == pytest.approx(330, rel=0.01)  # the arm of the star
    assert scene["extentM"][0] > scene["circleM"][0]


def test_a_scene_without_areas_has_a_page(tmp_path: Path):
    scene = scene_of(read(streets(tmp_path)), ["nobody"])
    assert told(Reader(page(scene, "nobody").decode()))["ids"] == []
