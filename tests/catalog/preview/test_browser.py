"""The page in a real browser: what one sees, and what happens when one does something."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from geoengine.catalog import read
from geoengine.catalog.preview.page import page
from geoengine.catalog.preview.scene import Scene, scene_of
from geoengine.catalog.reach.question import Question
from tests.catalog.preview.scenes import SHOPS, on_star, streets
from tests.catalog.preview.test_page import HOSTILE
from tests.catalog.reach.answering import keep
from tests.catalog.writing import write
from tests.servers.browser import Browser, Tab

PLACE_OF_MARK = """(() => {
  const [pane] = panes(), box = canvas.getBoundingClientRect();
  return [box.left + xOf(pane, places[%d].x), box.top + yOf(places[%d].y)];
})()"""


def written(directory: Path, catalogue: Path, is_compared: bool = False) -> str:
    """The page of a catalogue in a file, as an URL."""
    path = directory / "zones.html"
    path.write_bytes(page(scene_of(read(catalogue)), catalogue.name, is_compared))
    return path.as_uri()


@pytest.fixture
async def tab(browser: Browser, tmp_path: Path) -> AsyncIterator[Tab]:
    async with browser.open(written(tmp_path, streets(tmp_path))) as tab:
        yield tab
        assert tab.complaints == []
        assert [url for url in tab.requested if not url.startswith("file:")] == []
        assert len(tab.requested) == 1  # the page itself, and nothing that it asked for


async def texts(tab: Tab, selector: str) -> list[str]:
    found: list[str] = await tab.run(
        f"[...document.querySelectorAll({selector!r})].map((one) => one.textContent)"
    )
    return found


async def click_mark(tab: Tab, area_ix: int) -> None:
    x, y = await tab.run(PLACE_OF_MARK % (area_ix, area_ix))
    await tab.click(x, y)
    await tab.painted()


async def pixels(tab: Tab) -> np.ndarray:
    """What stands on the map, shape (height, width, 3)."""
    await tab.painted()
    picture = await tab.run("canvas.toDataURL('image/png').split(',')[1]")
    seen: np.ndarray = imread(io.BytesIO(base64.b64decode(picture)))[..., :3]
    return seen


async def choose_view(tab: Tab, view: str) -> None:
    await tab.run(f"document.querySelector('input[value={view}]').click()")


async def test_the_page_opens_with_every_area_and_no_complaint(tab: Tab):
    assert await texts(tab, "h1") == ["Zones of shops"]
    assert await texts(tab, "#summary") == [
        "4 areas: 2 city, 1 countryside, 1 no store · 2 of 3 reaches by minutes on real streets · "
        f"catalogue {await tab.run('scene.version')}"
    ]
    assert await texts(tab, "tbody td:first-child") == [
        "Maison Rivoli", "Les Halles", "Gordes", "The yard",
    ]  # fmt: skip
    assert len(np.unique((await pixels(tab)).reshape(-1, 3), axis=0)) > 20  # a drawing


async def test_a_click_on_a_mark_tells_why(tab: Tab):
    await tab.run("showAreas([0])")
    await click_mark(tab, 0)
    assert await texts(tab, "#detail h2") == ["Maison Rivoli"]
    (why,) = [fact for fact in await texts(tab, "#detail dd") if "on the roads" in fact]
    assert why.startswith("5 min on foot on the roads (valhalla")
    assert why.endswith("city, as written")
    assert any("300 m without roads: 1." in fact for fact in await texts(tab, "#detail dd"))


async def test_a_click_into_a_reach_chooses_it_and_one_beside_all_chooses_none(tab: Tab):
    await tab.run("showAreas([2])")
    x, y = await tab.run(PLACE_OF_MARK % (2, 2))
    await tab.click(x, y - 60)  # on the arm that goes north, away from the mark
    assert await texts(tab, "#detail h2") == ["Gordes"]
    await tab.click(x - 300, y - 250)
    assert await texts(tab, "#detail h2") == []


async def test_a_click_into_a_hole_chooses_nothing(tab: Tab):
    await tab.run("showAreas([0])")
    x, y = await tab.run(
        """(() => {
          const hole = reachOf(0)[1], box = canvas.getBoundingClientRect(), [pane] = panes();
          let [dx, dy] = [0, 0];
          for (let ix = 0; ix < hole.length; ix += 2) {
            dx += hole[ix] / (hole.length / 2); dy += hole[ix + 1] / (hole.length / 2);
          }
          return [box.left + xOf(pane, places[0].x + dx), box.top + yOf(places[0].y + dy)];
        })()"""
    )
    await tab.click(x, y)
    assert await texts(tab, "#detail h2") == []
    assert await tab.run("isWithin(reachOf(0), 1e-7, 1e-5)") is True  # and beside it, the reach


async def test_a_row_chooses_a_store_and_goes_there(tab: Tab):
    await tab.run("document.querySelectorAll('tbody tr')[2].click()")
    await tab.painted()
    assert await texts(tab, "#detail h2") == ["Gordes"]
    assert await tab.run("Math.abs(sheet.x - places[2].x) < 1e-9") is True
    assert await texts(tab, "tr.chosen td:first-child") == ["Gordes"]


async def test_the_search_leaves_what_holds_every_word(tab: Tab):
    await tab.run("document.getElementById('search').focus()")
    await tab.type("countryside car")
    assert await texts(tab, "tbody td:first-child") == ["Gordes"]
    assert await texts(tab, "#count") == ["1 of 4"]
    assert await tab.run("[...shown.found]") == [0, 0, 1, 0]


async def test_a_column_sorts_up_and_down(tab: Tab):
    by_size = ["The yard", "Maison Rivoli", "Les Halles", "Gordes"]
    await tab.run("document.querySelectorAll('th button')[3].click()")
    assert await texts(tab, "tbody td:first-child") == by_size[::-1]  # numbers: the largest first
    await tab.run("document.querySelectorAll('th button')[3].click()")
    assert await texts(tab, "tbody td:first-child") == by_size
    assert await tab.run("document.querySelector('th[aria-sort]').ariaSort") == "ascending"


async def test_the_views_show_reach_circle_both_and_side_by_side(tab: Tab):
    await tab.run("showAreas([0])")
    seen = {}
    for view in ("reach", "circle", "both", "side"):
        await choose_view(tab, view)
        seen[view] = await pixels(tab)
    for one, other in (
        ("reach", "circle"),
        ("reach", "both"),
        ("circle", "both"),
        ("both", "side"),
    ):
        assert np.abs(seen[one] - seen[other]).max() > 0.1, (one, other)
    assert await tab.run("panes().map((pane) => pane.title)") == ["Circle", "Reach in force"]


@pytest.mark.parametrize("value", ["countryside", "towns"])
async def test_what_is_on_the_map_is_taken_off_and_put_back(tab: Tab, value: str):
    await tab.run("showAreas([0, 1, 2])")
    everything = await pixels(tab)
    box = f"document.querySelector('input[value={value}]')"
    await tab.run(f"{box}.click()")
    assert np.abs(everything - await pixels(tab)).max() > 0.02
    await tab.run(f"{box}.click()")
    np.testing.assert_array_equal(everything, await pixels(tab))


async def test_the_overlaps_are_listed_and_lead_to_both(tab: Tab):
    await tab.run("document.getElementById('tab-overlaps').click()")
    assert await texts(tab, "tbody td") == ["Maison Rivoli", "18\xa0%", "Les Halles", "11\xa0%"]
    await tab.run("document.querySelector('tbody tr').click()")
    assert await texts(tab, "#detail h2") == ["Maison Rivoli", "Les Halles"]


async def test_the_keyboard_moves_the_map(tab: Tab):
    await tab.run("canvas.focus()")
    before = await tab.run("[sheet.x, sheet.y, sheet.scale]")
    await tab.press("ArrowRight", 39)
    await tab.press("+", 187)
    after = await tab.run("[sheet.x, sheet.y, sheet.scale]")
    assert after[0] > before[0] and after[2] == pytest.approx(before[2] * 1.5)
    await tab.press("0", 48)
    assert await tab.run("[sheet.x, sheet.y, sheet.scale]") == pytest.approx(before)


async def test_the_wheel_keeps_what_is_under_the_pointer(tab: Tab):
    await tab.run("showAreas([0])")
    x, y = await tab.run(PLACE_OF_MARK % (0, 0))
    await tab.run("move(120, 70)")
    x, y = await tab.run(PLACE_OF_MARK % (0, 0))
    await tab.call(
        "Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-240
    )  # fmt: skip
    await tab.painted()
    assert await tab.run(PLACE_OF_MARK % (0, 0)) == pytest.approx([x, y], abs=0.5)


async def test_everything_that_can_be_clicked_can_be_reached_by_keyboard(tab: Tab):
    names = await tab.run(
        """[...document.querySelectorAll('button, input, canvas')].filter((one) =>
             one.tabIndex < 0 && one.getAttribute('role') !== 'tab').length"""
    )
    assert names == 0
    unnamed = await tab.run(
        """[...document.querySelectorAll('button, input')].filter((one) =>
             !(one.textContent || one.ariaLabel || one.labels?.[0]?.textContent)).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_from_its_ground(tab: Tab, scheme: str):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await tab.call("Emulation.setEmulatedMedia", features=features)
    await tab.painted()
    colours = await tab.run("colours")
    for name in ("ink", "faint", "circle", "city", "suburb", "countryside", "alone"):
        for ground in ("paper", "land"):
            least = 4.5 if name in ("ink", "faint") else 3.0  # WCAG 2.2: text, and graphics
            assert contrast(colours[name], colours[ground]) >= least, (name, ground)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours, WCAG 2.2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


async def test_on_a_phone_the_map_stands_over_the_lists(tab: Tab):
    await tab.resize(390, 844)
    await tab.painted()
    assert await tab.run("document.documentElement.scrollWidth <= innerWidth") is True
    assert await tab.run(
        "canvas.getBoundingClientRect().bottom < document.getElementById('tabs').offsetTop"
    )


async def test_on_paper_it_is_ink_on_white_also_from_a_dark_screen(tab: Tab):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    await tab.call("Emulation.setEmulatedMedia", features=features)
    dark = await pixels(tab)
    await tab.run("window.dispatchEvent(new Event('beforeprint'))")
    printed = await pixels(tab)
    assert printed.shape[:2] == (640, 800)
    assert printed.mean() > 0.8 > 0.3 > dark.mean()
    await tab.run("window.dispatchEvent(new Event('afterprint'))")
    np.testing.assert_array_equal(dark, await pixels(tab))
    assert len((await tab.call("Page.printToPDF"))["data"]) > 10_000


async def test_on_paper_the_list_is_whole(browser: Browser, tmp_path: Path):
    rows = "".join(f"s{ix},S {ix},48.85,{2 + ix / 100}\n" for ix in range(90))
    text = "stores:\n  - import: s.csv\n    defaults: {setting: city}\n"
    catalogue = write(tmp_path, {"a.yaml": text, "s.csv": "id,name,lat,lon\n" + rows})
    async with browser.open(written(tmp_path, catalogue)) as tab:
        await tab.run("document.querySelector('[data-page=\"1\"]').click()")
        assert (await texts(tab, "tbody td:first-child"))[0] == "S 40"
        await tab.run("window.dispatchEvent(new Event('beforeprint'))")
        assert len(await texts(tab, "tbody tr")) == 90
        await tab.run("window.dispatchEvent(new Event('afterprint'))")
        assert len(await texts(tab, "tbody tr")) == 40


async def test_compared_it_opens_side_by_side(browser: Browser, tmp_path: Path):
    url = written(tmp_path, streets(tmp_path), is_compared=True)
    async with browser.open(url) as tab:
        assert await tab.run("shown.view") == "side"
        assert await tab.run("document.querySelector('input[value=side]').checked") is True


async def test_a_name_that_looks_like_a_script_is_shown_and_not_run(
    browser: Browser, tmp_path: Path
):
    catalogue = write(tmp_path, {"a.yaml": SHOPS.replace("Maison Rivoli", HOSTILE)})
    async with browser.open(written(tmp_path, catalogue)) as tab:
        await tab.run("choose([0], true)")
        assert await texts(tab, "#detail h2") == [HOSTILE]
        assert await tab.run("document.scripts.length") == 2
        assert tab.complaints == []


async def test_what_a_name_smuggles_in_the_policy_stops(browser: Browser, tmp_path: Path):
    url = written(tmp_path, streets(tmp_path))
    async with browser.open(url) as tab:
        await tab.run(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')"
        )
        await tab.painted()
        assert any("Content Security Policy" in one for one in tab.complaints)


@pytest.mark.parametrize("store_ids", [["nobody"], ["gordes"]])
async def test_none_and_one_have_a_page(browser: Browser, tmp_path: Path, store_ids: list[str]):
    path = tmp_path / "zones.html"
    path.write_bytes(page(scene_of(read(streets(tmp_path)), store_ids), "few"))
    async with browser.open(path.as_uri()) as tab:
        assert len(await pixels(tab)) > 100
        assert tab.complaints == []


async def test_people_have_a_column_where_they_are_known(browser: Browser, tmp_path: Path):
    scene = scene_of(read(streets(tmp_path)))
    path = tmp_path / "zones.html"
    path.write_bytes(page(replace(scene, people=np.array([4_187.0, 62.3, np.nan, 0.0])), "shops"))
    async with browser.open(path.as_uri()) as tab:
        assert await texts(tab, "tbody td:nth-child(5)") == ["4,200", "60", "", "0"]
        await tab.run("choose([0])")
        assert "about 4,200 live in it" in await texts(tab, "#detail dd")
        await tab.run("choose([2])")
        assert "People" not in await texts(tab, "#detail dt")


async def test_ten_thousand_stores_on_real_streets_are_a_page(browser: Browser, tmp_path: Path):
    content = page(many(tmp_path), "many")
    assert len(content) < 20_000_000
    path = tmp_path / "many.html"
    path.write_bytes(content)
    async with browser.open(path.as_uri()) as tab:
        assert len(await texts(tab, "tbody tr")) == 40
        assert await texts(tab, "#pages span") == ["1 of 250"]
        await tab.run("document.getElementById('search').focus()")
        await tab.type("number 4321")
        assert await texts(tab, "tbody td:first-child") == ["Shop number 4321"]
        await tab.run("document.querySelector('tbody tr').click()")
        assert "on the roads" in " ".join(await texts(tab, "#detail dd"))
        await tab.run("document.getElementById('search').value = ''; refresh(); showAll()")
        took_ms = await tab.run(
            "(() => { const at = performance.now(); draw(); return performance.now() - at; })()"
        )
        loaded_ms = await tab.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(
            f"{len(content) / 1e6:.1f} MB, loaded in {loaded_ms:.0f} ms, drawn in {took_ms:.0f} ms"
        )
        assert loaded_ms < 20_000  # seconds, on a machine that others use too
        assert tab.complaints == []


def many(directory: Path) -> Scene:
    """Ten thousand shops in a country, each with a reach of 200 corners."""
    draw = np.random.default_rng(20261122)
    lon_deg = draw.uniform(-1, 7, 10_000).round(5).tolist()
    lat_deg = draw.uniform(44, 49, 10_000).round(5).tolist()
    rows = zip(range(10_000), lat_deg, lon_deg, strict=True)
    lines = [f"s{ix},Shop number {ix},{lat},{lon}\n" for ix, lat, lon in rows]
    text = "stores:\n  - import: s.csv\n    defaults: {setting: countryside}\n"
    places = (Question(lon, lat, "drive", 5.0) for lon, lat in zip(lon_deg, lat_deg, strict=True))
    keep(directory / "data", *(on_star(place, 2_600.0, corners=200) for place in places))
    files = {"a.yaml": f"{text}engine: {{data: {directory / 'data'}}}\n"}
    catalogue = write(directory, {**files, "s.csv": "id,name,lat,lon\n" + "".join(lines)})
    return scene_of(read(catalogue))
