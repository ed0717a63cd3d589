"""`geoengine zones`: written as GeoJSON, and its reaches built."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.catalog import read
from geoengine.catalog.reach import kept
from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.question import Question
from geoengine.cli import main
from geoengine.cli.catalogue.zones_build import LISTED_MAX, Options, build_all
from geoengine.core.places.zones import CIRCLE, POLYGON
from tests.catalog.reach.answering import RIVOLI, answer, keep
from tests.catalog.reach.test_on_the_roads import GORDES, ROADS, SHOPS, catalogue
from tests.roads.discs import Discs


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["zones", *words])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return catalogue(tmp_path / "config")


def built(config: Path, data: Path, router: Discs, **options: object) -> int:
    stores = read(config, by_roads=False).book.stores
    with Journal(data) as journal:
        return build_all(stores, router, journal, Options(**options))  # type: ignore[arg-type]


def kinds(config: Path) -> list[int]:
    return read(config).book.zones.kind.tolist()


@pytest.mark.parametrize("words", [[], ["--out", "{out}"], ["write", "--out", "{out}"]])
def test_a_directory_alone_is_written_as_geojson(tmp_path: Path, config: Path, words: list[str]):
    out = tmp_path / "zones.geojson"
    result = run(*(word.format(out=out) for word in words), str(config))
    assert result.exit_code == 0
    text = out.read_text() if words else result.output
    assert [one["id"] for one in json.loads(text)["features"]] == ["rivoli", "gordes"]


def test_options_may_come_after_the_directory(tmp_path: Path, config: Path):
    assert run(str(config), "--out", str(tmp_path / "z.geojson")).exit_code == 0
    assert (tmp_path / "z.geojson").exists()


def test_a_directory_with_the_name_of_a_command_is_written_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    catalogue(tmp_path / "build")
    assert json.loads(run("./build").output)["type"] == "FeatureCollection"


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_shows_every_command(words: list[str]):
    told = run(*words).output
    assert "  write " in told
    assert "  build " in told
    assert "  preview " in told


def test_a_build_gives_every_store_its_reach(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    router = Discs()
    assert kinds(config) == [CIRCLE, CIRCLE]
    assert built(config, data, router) == 0
    assert kinds(config) == [POLYGON, POLYGON]
    assert router.is_closed
    told = capsys.readouterr()
    assert "discs 1: asked about 2 places in" in told.out
    assert "2 answered, 0 without a way, 0 failed, 0 known before" in told.out
    assert told.err == "1 of 2\n2 of 2\n"


def test_a_changed_store_is_the_only_one_asked_about(tmp_path: Path, config: Path, data: Path):
    built(config, data, Discs())
    catalogue(config, SHOPS.replace("2.3470", "2.3480"))
    router = Discs()
    assert built(config, data, router) == 0
    assert router.asked == [RIVOLI._replace(lon_deg=2.3480)]
    assert len(answers(data)) == 2, "the place of before is forgotten"
    catalogue(config, SHOPS)
    assert built(config, data, router, keeps_all=True) == 0
    assert len(answers(data)) == 3


def answers(data: Path) -> dict[Question, object]:
    return dict.fromkeys(one.question for _at, one in kept.Scan(kept.path_in(data).read_bytes()))


def test_stores_with_a_reach_of_their_own_are_not_asked_about(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    text = SHOPS.replace("setting: city}", "setting: city, reach: {radius_m: 300}}")
    router = Discs()
    built(catalogue(tmp_path / "config", text), data, router)
    assert router.asked == [GORDES]
    told = capsys.readouterr().out
    assert "1 stores have a reach of their own and were not asked about" in told


def test_stores_without_a_way_are_listed_and_succeed(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    router = Discs()
    router.no_way[GORDES] = "no road within 35 m"
    assert built(config, data, router) == 0
    told = capsys.readouterr().out
    assert "  gordes  no way on the roads, no road within 35 m: its reach is a circle" in told
    assert kinds(config) == [POLYGON, CIRCLE]


def test_of_many_without_a_way_some_are_listed_and_the_rest_counted(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    rows = "".join(f"s{ix},S,48.5,{2 + ix / 1000},city\n" for ix in range(60))
    (config / "s.csv").write_text("id,name,lat,lon,setting\n" + rows)
    router = Discs()
    router.no_way = {Question(2 + ix / 1000, 48.5, "walk", 5.0): "sea" for ix in range(60)}
    assert built(config, data, router) == 0
    told = capsys.readouterr().out
    assert told.count("no way on the roads") == LISTED_MAX
    assert "  … and 10 more" in told


def test_a_damaged_file_is_told_of_and_mended(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    keep(data, answer(RIVOLI, network="discs 1"), answer(GORDES, network="discs 1"))
    path = kept.path_in(data)
    path.write_bytes(path.read_bytes()[:-1])
    assert run(str(config)).exit_code == 1
    router = Discs()
    assert built(config, data, router) == 0
    assert router.asked == [GORDES]
    assert "was damaged: what can be read of it is kept" in capsys.readouterr().err
    assert run(str(config)).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_keeps_what_was_answered(
    tmp_path: Path, data: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
):
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    rows = "".join(f"s{ix},S,48.5,{2 + ix / 1000},city\n" for ix in range(60))
    (config / "s.csv").write_text("id,name,lat,lon,setting\n" + rows)
    assert built(config, data, Interrupted(number)) == 1
    told = capsys.readouterr()
    assert "geoengine: stopped" in told.err
    count = len(answers(data))
    assert 15 <= count < 60
    assert f"{count} of 60 places answered" in told.out


class Interrupted(Discs):
    """Somebody wants the build to stop after twenty questions."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self._number = number

    async def ask(self, question: Question):  # type: ignore[no-untyped-def]
        if len(self.asked) == 20:
            os.kill(os.getpid(), self._number)
        return await super().ask(question)


def test_without_a_road_network_the_command_says_how_to_name_one(config: Path):
    result = run("build", str(config))
    assert result.exit_code == 1
    assert "no road network to ask: expected `engine: {roads:" in result.output


@pytest.mark.parametrize("router", ["osrm:http://127.0.0.1", "valhalla:", "http://127.0.0.1:8002"])
def test_a_router_nobody_knows_is_told_with_those_that_are(config: Path, router: str):
    result = run("build", str(config), "--router", router)
    assert result.exit_code == 1
    assert "expected valhalla:WHERE or openrouteservice:WHERE" in result.output


def test_a_build_of_a_bad_catalogue_asks_nothing(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("store: []\n")
    result = run("build", str(tmp_path))
    assert result.exit_code == 1
    assert "a.yaml:1:1: `store` is not a key" in result.output


def test_a_second_build_at_the_same_time_is_refused(tmp_path: Path, data: Path):
    config = catalogue(tmp_path / "config", engine=ROADS)
    with Journal(data):
        result = run("build", str(config))
    assert result.exit_code == 1
    assert f"is being built by process {os.getpid()}" in result.output


def test_a_check_of_many_stores_counts_areas_of_about_one_size_together(tmp_path: Path, data: Path):
    config = catalogue(tmp_path / "config", "stores:\n  - import: s.csv\n")
    rows = "".join(f"s{ix},S,48.5,{2 + ix / 1000},city\n" for ix in range(60))
    (config / "s.csv").write_text("id,name,lat,lon,setting\n" + rows)
    questions = [Question(2 + ix / 1000, 48.5, "walk", 5.0) for ix in range(60)]
    keep(data, *(answer(one, radius_m=240.0 + ix) for ix, one in enumerate(questions[:40])))
    told = CliRunner().invoke(main, ["check", str(config)]).output
    assert f"  {'FR':<8} {'city':<12} {'~200 m':>10} {40:>10}\n" in told
