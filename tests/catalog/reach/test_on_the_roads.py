"""Reaches on real streets in the compiled catalogue, and what is said of those that have none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from geoengine.catalog import Reading, read, zones_geojson
from geoengine.catalog.building.reaches import REMARKED_MAX
from geoengine.catalog.keeping.cache import Cache
from geoengine.catalog.keeping.compiler import SMALL_BYTES, is_small
from geoengine.catalog.reach import kept
from geoengine.catalog.reach.kept import refused
from geoengine.catalog.reach.question import Question, question_of
from geoengine.core.book import MODES, Book
from geoengine.core.errors import ConfigurationError
from geoengine.core.places.zones import CIRCLE, POLYGON
from tests.catalog.reach.answering import NETWORK, RIVOLI, answer, area, keep
from tests.catalog.writing import faults, write

SHOPS = """\
stores:
  - {id: rivoli, name: R, location: {lat: 48.8583, lon: 2.3470}, setting: city}
  - {id: gordes, name: G, location: {lat: 43.9112, lon: 5.2003}, setting: countryside}
"""
GORDES = Question(5.2003, 43.9112, "drive", 5.0)
ROADS = "roads: {router: valhalla, url: 'http://127.0.0.1:8002'}"


def catalogue(directory: Path, text: str = SHOPS, engine: str = "") -> Path:
    """A directory whose data folder lies beside it."""
    data = directory.parent / "data"
    return write(directory, {"a.yaml": f"{text}engine:\n  data: {data}\n  {engine}\n"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return catalogue(tmp_path / "config")


def zone(book: Book, name: str) -> tuple[int, str, float]:
    """Kind, why and radius of a zone."""
    ix = book.zone_ix_of[name]
    return int(book.zones.kind[ix]), book.zones.why[ix], float(book.zones.radius_m[ix])


def warnings(reading: Reading) -> list[str]:
    return [f"{fault.line}:{fault.column}: {fault.what}" for fault in reading.warnings]


def test_a_reach_in_minutes_is_what_the_roads_answered(config: Path, data: Path):
    keep(data, answer(), answer(GORDES, radius_m=2_000.0))
    book = read(config).book
    ix = book.zone_ix_of["gordes"]
    kind, why, radius_m = zone(book, "gordes")
    assert kind == POLYGON
    assert why == (f"5 min by car on the roads ({NETWORK}): 9.4 km2; countryside, as written")
    assert (book.zones.minutes[ix], MODES[book.zones.mode[ix]]) == (5.0, "drive")
    assert radius_m == pytest.approx(np.sqrt(0.75) * 2_000, rel=1e-3)
    assert book.zones.polygons[ix].equals_exact(area(GORDES, 2_000.0), 0.0)
    assert (book.zones.lon_deg[ix], book.zones.lat_deg[ix]) == (5.2003, 43.9112)


def test_on_the_map_it_is_a_polygon_without_a_radius(config: Path, data: Path):
    keep(data, answer())
    features = {one["id"]: one for one in zones_geojson(read(config).book)["features"]}
    properties = features["rivoli"]["properties"]
    assert "radius_m" not in properties
    assert (properties["kind"], properties["mode"], properties["minutes"]) == ("polygon", "walk", 5)
    assert features["gordes"]["properties"]["kind"] == "circle"
    json.dumps(features, allow_nan=False)


def test_somebody_in_the_quarter_that_no_street_leads_to_is_outside(config: Path, data: Path):
    keep(data, answer())
    book = read(config).book
    towards_nw, towards_se = (2.3460, 48.8593), (2.3480, 48.8573)
    lon_deg, lat_deg = np.array([towards_nw, towards_se]).T
    found = book.index.match(lon_deg, lat_deg)
    inside = {
        int(fix) for fix, edge_m in zip(found.fix_ix, found.edge_m, strict=True) if edge_m < 0
    }
    assert inside == {1}


@pytest.mark.parametrize(
    "reach",
    ["{radius_m: 400}", "{detour: 1.2}", "{speed_mps: 1.1}", "{minutes: 6}", "{at: Fr 17:30}"],
)
def test_an_answer_to_another_question_is_not_taken(tmp_path: Path, data: Path, reach: str):
    text = SHOPS.replace("setting: city}", f"setting: city, reach: {reach}}}")
    config = catalogue(tmp_path / "config", text)
    keep(data, answer())
    assert zone(read(config).book, "rivoli")[0] == CIRCLE


def test_stores_at_one_place_share_an_answer(tmp_path: Path, data: Path):
    rows = "id,name,lat,lon,setting\na,A,48.8583,2.3470,city\nb,B,48.8583,2.3470,city\n"
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    write(config, {"s.csv": rows})
    keep(data, answer())
    assert read(config).book.zones.kind.tolist() == [POLYGON, POLYGON]


def test_moving_one_store_is_one_question_more(tmp_path: Path):
    def asked(text: str) -> set[Question | None]:
        return {question_of(store) for store in read(catalogue(tmp_path / "c", text)).book.stores}

    assert asked(SHOPS) == {RIVOLI, GORDES}
    assert asked(SHOPS.replace("2.3470", "2.3480")) == {RIVOLI._replace(lon_deg=2.3480), GORDES}
    assert asked(SHOPS.replace("name: R", "name: S, tags: [a], hours: 24/7")) == {RIVOLI, GORDES}


def test_without_roads_in_the_settings_circles_are_nothing_to_tell(config: Path):
    reading = read(config)
    assert warnings(reading) == []
    assert "roads" not in zone(reading.book, "rivoli")[1]


def test_stores_about_which_nobody_asked_are_one_warning(tmp_path: Path, data: Path):
    config = catalogue(tmp_path / "config", engine=ROADS)
    reading = read(config)
    what = "2 stores are reached by a circle: run `geoengine zones build`, which asks the roads"
    assert warnings(reading) == [f"6:10: {what}"]
    assert "(circle: no roads were asked); city, as written" in zone(reading.book, "rivoli")[1]
    keep(data, answer())
    assert warnings(read(config))[0].startswith("6:10: 1 store is reached")
    keep(data, answer(GORDES))
    assert warnings(read(config)) == []


def test_what_is_doubtful_about_an_answer_is_a_warning_at_its_store(config: Path, data: Path):
    keep(data, answer(), answer(GORDES, doubts=("cut off by the edge of the extract",)))
    reading = read(config)
    assert warnings(reading) == ["3:5: `gordes`: cut off by the edge of the extract"]
    assert "km2, cut off by the edge of the extract; countryside" in zone(reading.book, "gordes")[1]


def test_what_is_doubtful_about_a_thousand_answers_is_told_of_a_hundred_and_counted(
    tmp_path: Path, data: Path
):
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    rows = "".join(f"s{ix},S,48.5,{2 + ix / 1000},city\n" for ix in range(1_000))
    write(config, {"s.csv": "id,name,lat,lon,setting\n" + rows})
    questions = [Question(round(2 + ix / 1000, 3), 48.5, "walk", 5.0) for ix in range(1_000)]
    keep(data, *(answer(one, doubts=("no timetable",)) for one in questions))
    told = [one for one in warnings(read(config)) if "no timetable" in one]
    assert len(told) == REMARKED_MAX + 1
    assert told[0] == "2:1: `s0`: no timetable"
    assert told[-1] == "102:1: of 900 stores from here on too: no timetable"


def test_where_there_is_no_way_the_circle_says_so(tmp_path: Path, data: Path):
    config = catalogue(tmp_path / "config", engine=ROADS)
    keep(data, answer(), refused(GORDES, NETWORK, "no road within 35 m"))
    reading = read(config)
    told = "3:5: `gordes`: no way on the roads, no road within 35 m: its reach is a circle"
    assert warnings(reading) == [told]
    kind, why, _radius_m = zone(reading.book, "gordes")
    assert kind == CIRCLE
    assert "(circle: no way on the roads, no road within 35 m); countryside" in why


def test_the_hour_of_arrival_stands_in_the_reason(tmp_path: Path, data: Path):
    text = SHOPS.replace("setting: city}", "setting: city, reach: {at: Fr 17:30}}")
    config = catalogue(tmp_path / "config", text)
    keep(data, answer(RIVOLI._replace(at="Fr 17:30")))
    why = zone(read(config).book, "rivoli")[1]
    assert why.startswith("5 min on foot, arriving Fr 17:30, on the roads (")


def test_circles_are_to_be_had_whatever_was_answered(config: Path, data: Path):
    keep(data, answer(), answer(GORDES))
    assert read(config, by_roads=False).book.zones.kind.tolist() == [CIRCLE, CIRCLE]


def test_a_damaged_file_of_reaches_is_a_fault_and_names_the_remedy(config: Path, data: Path):
    path = keep(data, answer())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigurationError) as refusal:
        read(config)
    assert str(refusal.value).startswith(f"{path}:1:1: {path} is not as it was written")
    assert "geoengine zones build" in str(refusal.value)


@pytest.mark.parametrize(
    ("reach", "fault"),
    [
        ("{radius_m: 300, at: Fr 17:30}", "reach has radius_m and at: expected minutes"),
        ("{at: Fr 17:30, detour: 1.2}", "reach has at, and a speed or detour: expected"),
        ("{at: Friday evening}", "at is 'Friday evening'"),
        ("{at: Fr 25:30}", "at is 'Fr 25:30'"),
    ],
)
def test_an_hour_of_arrival_goes_with_minutes_on_the_roads(tmp_path: Path, reach: str, fault: str):
    text = SHOPS.replace("setting: city}", f"setting: city, reach: {reach}}}")
    (told,) = faults(tmp_path, text)
    assert told.startswith("2:")
    assert fault in told


def kept_whole(directory: Path, cache: Cache) -> bool:
    """Whether the cache finds what compiling would make; keeps that where it finds nothing."""
    if cache.find(directory) is not None:
        return True
    cache.keep(directory, read(directory))
    return False


@pytest.mark.parametrize("name", ["density/insee.npz", "buildings/newport.bin"])
def test_a_kept_catalogue_notices_what_is_added_to_the_data(
    tmp_path: Path, config: Path, data: Path, name: str
):
    cache, path = Cache(tmp_path / "cache"), data / name
    assert [kept_whole(config, cache) for _ in range(2)] == [False, True]
    folder = path.parent
    folder.mkdir(parents=True)
    (folder / ".half-written.new").write_bytes(b"hidden")
    assert not kept_whole(config, cache), "the folder came"
    assert kept_whole(config, cache)


def test_a_kept_catalogue_notices_new_reaches_and_changed_ones(
    tmp_path: Path, config: Path, data: Path
):
    cache = Cache(tmp_path / "cache")
    assert [kept_whole(config, cache) for _ in range(2)] == [False, True]
    for one in (answer(), answer(GORDES), answer(radius_m=200.0)):
        keep(data, one)
        assert [kept_whole(config, cache) for _ in range(2)] == [False, True]
    kept.path_in(data).unlink()
    found = cache.find(config)
    assert found is None or found.book.zones.kind.tolist() == [CIRCLE, CIRCLE]


def test_a_kept_catalogue_has_its_reaches(tmp_path: Path, config: Path, data: Path):
    keep(data, answer(), answer(GORDES, doubts=("cut off",)))
    cache, made = Cache(tmp_path / "cache"), read(config)
    cache.keep(config, made)
    found = cache.find(config)
    assert found is not None
    assert found.book.version == made.book.version
    assert found.warnings == made.warnings
    assert found.book.zones.polygons.keys() == {0, 1}
    for ix, drawn in made.book.zones.polygons.items():
        assert shapely.equals_exact(found.book.zones.polygons[ix], drawn, 0.0)


def test_another_answer_is_another_version_and_another_zone(config: Path, data: Path):
    before = read(config).book
    keep(data, answer())
    after = read(config).book
    assert after.version != before.version
    assert after.loses(before.births())
    lost = before.zones.prints != after.zones.prints
    assert [name for name, is_lost in zip(after.zones.ids, lost, strict=True) if is_lost] == [
        "rivoli"
    ]


def test_a_little_yaml_with_much_data_is_not_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    directory = write(tmp_path / "config", {"a.yaml": SHOPS})
    assert is_small(directory)
    questions = [Question(2.0 + ix / 1e3, 48.0, "walk", 5.0) for ix in range(200)]
    keep(Path("var/data"), *map(answer, questions))
    assert kept.path_in(Path("var/data")).stat().st_size > SMALL_BYTES
    assert not is_small(directory)


def test_a_catalogue_that_names_its_data_is_not_small(config: Path):
    assert not is_small(config)


def test_rows_of_a_file_take_their_reaches(tmp_path: Path, data: Path):
    places = [(round(48 + ix % 100 / 100, 5), round(2 + ix / 1e4, 5)) for ix in range(1_000)]
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    with (config / "s.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "name", "lat", "lon", "setting"])
        rows.writerows((f"s{ix}", "S", *at, "city") for ix, at in enumerate(places))
    keep(data, *(answer(Question(lon, lat, "walk", 5.0)) for lat, lon in places[:900]))
    kinds = read(config).book.zones.kind.tolist()
    assert (kinds.count(POLYGON), kinds.count(CIRCLE)) == (900, 100)
