"""What a road network answered outlives builds, kills and damage."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon

from geoengine.catalog.polygons import equal_radius_m
from geoengine.catalog.reach import kept
from geoengine.catalog.reach.journal import JOURNAL, Journal
from geoengine.catalog.reach.kept import Answer, refused
from geoengine.catalog.reach.question import Question, question_of
from geoengine.catalog.reading.sources import UNREAD, Sources
from geoengine.core.errors import DataError
from geoengine.core.model import Location, Reach, Store
from tests.catalog.reach.answering import NETWORK, RIVOLI, answer, area, keep

OTHERS = [Question(2.0 + ix / 10, 48.0, "drive", 5.0) for ix in range(5)]


class Everything:
    """Every question is wanted."""

    def __contains__(self, _question: object) -> bool:
        return True


def load(data: Path) -> dict[Question, Answer]:
    return kept.load(data, Sources(), Everything())


def shop(**keys: object) -> Store:
    usual = {"location": Location(lat=48.8583, lon=2.3470), "setting": "city"}
    return Store(id="rivoli", name="R", **{**usual, **keys})  # type: ignore[arg-type]


def test_an_answer_comes_back_as_it_was_given(tmp_path: Path):
    timed = RIVOLI._replace(at="Fr 17:30")
    given_ones = [answer(), answer(timed, doubts=("cut off",)), refused(OTHERS[0], NETWORK, "sea")]
    keep(tmp_path, *given_ones)
    assert load(tmp_path) == {one.question: one for one in given_ones}
    assert shapely.from_wkb(load(tmp_path)[RIVOLI].wkb).equals_exact(area(RIVOLI), 0.0)


def test_the_radius_is_that_of_the_circle_of_the_same_area():
    assert answer().radius_m == pytest.approx(equal_radius_m(area(RIVOLI)), rel=1e-12)


@pytest.mark.parametrize("way_round", [1, -1])
def test_holes_do_not_count_to_the_radius_whichever_way_round_they_are_drawn(way_round: int):
    outline, lake = (shapely.box(2.0, 48.0, 2.0 + side, 48.0 + side) for side in (0.02, 0.01))
    holed = Polygon(outline.exterior, [lake.exterior.coords[::way_round]])
    square_m = kept.answered(RIVOLI, NETWORK, holed, ()).square_m
    both = [kept.answered(RIVOLI, NETWORK, one, ()).square_m for one in (outline, lake)]
    assert square_m == pytest.approx(both[0] - both[1])
    twice = MultiPolygon([holed, translate(holed, xoff=1.0)])
    assert kept.answered(RIVOLI, NETWORK, twice, ()).square_m == pytest.approx(2 * square_m)


def test_only_what_is_wanted_is_loaded(tmp_path: Path):
    keep(tmp_path, answer(), *map(answer, OTHERS))
    assert list(kept.load(tmp_path, Sources(), {OTHERS[2]})) == [OTHERS[2]]


def test_where_nothing_was_built_nothing_is_known_and_that_is_noted(tmp_path: Path):
    sources = Sources()
    assert kept.load(tmp_path, sources, {RIVOLI}) == {}
    assert sources.digests == {str(kept.path_in(tmp_path)): UNREAD}


def test_who_reads_during_a_build_finds_what_was_kept_before(tmp_path: Path):
    keep(tmp_path, answer())
    with Journal(tmp_path) as journal:
        journal.put(answer(OTHERS[0]))
        assert list(load(tmp_path)) == [RIVOLI]
        journal.publish()
    assert set(load(tmp_path)) == {RIVOLI, OTHERS[0]}


@pytest.mark.parametrize("cut_bytes", [0, 1, 11, 200])
def test_a_killed_build_loses_only_what_was_half_written(tmp_path: Path, cut_bytes: int):
    with Journal(tmp_path) as journal:
        for question in OTHERS:
            journal.put(answer(question))
    path = tmp_path / kept.FOLDER / JOURNAL
    os.truncate(path, path.stat().st_size - cut_bytes)
    assert load(tmp_path) == {}, "nothing was published"
    with Journal(tmp_path) as journal:
        known = journal.answered(NETWORK)
        assert known == set(OTHERS if not cut_bytes else OTHERS[:-1])
        journal.put(answer())
        journal.publish()
    assert set(load(tmp_path)) == {*known, RIVOLI}


def test_the_latest_answer_to_a_question_counts(tmp_path: Path):
    keep(tmp_path, answer(network="old"), answer(OTHERS[0], network="old"))
    with Journal(tmp_path) as journal:
        assert journal.answered("new") == set()
        journal.put(answer(network="new", radius_m=200.0))
        journal.publish()
    with Journal(tmp_path) as journal:
        assert (journal.answered("new"), journal.answered("old")) == ({RIVOLI}, {OTHERS[0]})
    assert load(tmp_path)[RIVOLI] == answer(network="new", radius_m=200.0)


def test_answers_about_stores_that_are_gone_go_when_asked_to(tmp_path: Path):
    keep(tmp_path, *map(answer, OTHERS))
    with Journal(tmp_path) as journal:
        assert journal.publish() == len(OTHERS)
        assert journal.publish({OTHERS[1]}) == 1
    assert list(load(tmp_path)) == [OTHERS[1]]


def test_a_build_that_learns_nothing_leaves_the_file_alone(tmp_path: Path):
    path = keep(tmp_path, *map(answer, OTHERS))
    before = path.stat()
    keep(tmp_path)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_one_build_at_a_time(tmp_path: Path):
    with Journal(tmp_path), pytest.raises(DataError, match=f"by process {os.getpid()}: expected"):
        Journal(tmp_path).__enter__()
    keep(tmp_path, answer())  # and the next may


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_no_damage_is_taken_for_an_answer_and_a_build_mends_it(
    where: float, change: int, cut: bool
):
    with TemporaryDirectory() as name:
        data, whole = Path(name), {question: answer(question) for question in OTHERS}
        path = keep(data, *whole.values())
        content = bytearray(path.read_bytes())
        at, size = int(where * len(content)), len(content)
        if cut:
            del content[at:]
        else:
            content[at] ^= change
        path.write_bytes(content)
        try:
            assert load(data).items() <= whole.items(), "cut between two answers, or empty"
        except DataError as error:
            assert "zones build" in str(error)
        keep(data)
        assert load(data).items() <= whole.items()
        if at > size * 0.9:  # in the last of five
            assert len(load(data)) >= len(whole) - 1, "what came before the damage is kept"


def test_a_file_of_another_format_is_no_file_of_ours(tmp_path: Path):
    path = keep(tmp_path, answer())
    path.write_bytes(b"geoengine reaches 9\n" + path.read_bytes()[20:])
    with pytest.raises(DataError, match="not as it was written"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, RIVOLI),
        ({"setting": "countryside"}, RIVOLI._replace(mode="drive")),
        ({"reach": Reach(minutes=7)}, RIVOLI._replace(minutes=7.0)),
        ({"reach": Reach(mode="bike")}, RIVOLI._replace(mode="bike")),
        ({"reach": Reach(at="Fr 17:30")}, RIVOLI._replace(at="Fr 17:30")),
        ({"reach": Reach(radius_m=300)}, None),
        ({"reach": Reach(polygon="a.geojson")}, None),
        ({"reach": Reach(speed_mps=1.2)}, None),
        ({"reach": Reach(minutes=5, detour=1.2)}, None),
    ],
)
def test_a_reach_in_minutes_is_for_the_roads_unless_a_circle_is_written(
    keys: dict[str, object], expected: Question | None
):
    assert question_of(shop(**keys)) == expected


def test_places_a_hand_apart_are_one_question():
    near = shop(location=Location(lat=48.85830004, lon=2.34699996))
    assert question_of(near) == question_of(shop())
