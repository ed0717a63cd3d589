"""Processes that answer for Valhalla: they may die, hang, or never start; the build goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from geoengine.core.errors import NoWay, RoadsError, RouterDown
from geoengine.roads import valhalla_embedded
from geoengine.roads.valhalla_embedded import DEATHS_MAX, DEPTH, EmbeddedLine
from geoengine.roads.valhalla_python import VARIABLE

# An interpreter that takes no notice of the file it is to run, and does what the question says.
WORKER = """#!/bin/sh
echo "started" >> "$0.log"
read -r tiles
echo '{"answer":{"python":"3.13.0"}}'
while read -r question; do
  case "$question" in
    *die*) kill -SEGV $$ ;;
    *hang*) sleep 1000 ;;
    *first*) read -r second
      echo "{\\"answer\\":$question}"
      echo "{\\"answer\\":$second}" ;;
    *nonsense*) echo 'Segmentation fault' ;;
    *refuse*) echo '{"code":171,"error":"No suitable edges near location"}' ;;
    *) echo "{\\"answer\\":$question}" ;;
  esac
done
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """An environment in which the stand-in is taken for Valhalla's Python."""
    script = tmp_path / "python"
    script.write_text(WORKER)
    script.chmod(0o755)
    (tmp_path / "0.gph").touch()  # tiles, of which it takes no notice either
    return {VARIABLE: str(script), "PATH": os.environ["PATH"]}


def starts(environ: dict[str, str]) -> int:
    return Path(environ[VARIABLE] + ".log").read_text().count("started")


async def test_workers_start_when_they_are_asked_and_answer_side_by_side(
    tmp_path: Path, stand_in: dict[str, str]
):
    line = EmbeddedLine(tmp_path, stand_in, workers=3)
    assert line.at_once == 3 * DEPTH
    answers = await asyncio.gather(*(line.call("isochrone", {"n": n}) for n in range(12)))
    await line.close()
    assert [f'"n":{n}' in answer.decode() for n, answer in enumerate(answers)] == [True] * 12
    assert starts(stand_in) == 3


@pytest.mark.parametrize("how", ["die", "nonsense"])
async def test_a_question_that_kills_its_worker_has_no_way_and_the_next_has_one(
    tmp_path: Path, stand_in: dict[str, str], how: str
):
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    with pytest.raises(NoWay, match="Valhalla dies of it"):
        await line.call(how, {})
    assert b"isochrone" in await line.call("isochrone", {})
    await line.close()
    assert starts(stand_in) == 2


async def test_questions_behind_one_that_kills_are_asked_again(
    tmp_path: Path, stand_in: dict[str, str]
):
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    calls = [line.call("die" if n in (2, 5) else "isochrone", {"n": n}) for n in range(8)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    await line.close()
    assert [n for n, said in enumerate(found) if isinstance(said, NoWay)] == [2, 5]
    answers = {n: said.decode() for n, said in enumerate(found) if isinstance(said, bytes)}
    assert all(f'"n":{n}' in answer for n, answer in answers.items())
    assert starts(stand_in) == 3


async def test_a_worker_has_its_next_question_before_it_has_answered(
    tmp_path: Path, stand_in: dict[str, str]
):
    """This one answers no first question until it has read a second."""
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    answers = await asyncio.gather(*(line.call(name, {}) for name in ("first", "second")))
    await line.close()
    assert b"first" in answers[0]
    assert b"second" in answers[1]


async def test_a_question_that_hangs_is_given_up(
    tmp_path: Path, stand_in: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(valhalla_embedded, "ANSWER_S", 0.05)
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    with pytest.raises(NoWay, match=r"no answer within"):
        await line.call("hang", {})
    monkeypatch.undo()
    assert b"isochrone" in await line.call("isochrone", {})
    await line.close()


async def test_workers_that_keep_dying_end_the_build(tmp_path: Path, stand_in: dict[str, str]):
    line = EmbeddedLine(tmp_path, stand_in, workers=2)
    for _ in range(DEATHS_MAX):
        with pytest.raises(NoWay):
            await line.call("die", {})
    with pytest.raises(RouterDown, match=f"died {DEATHS_MAX} times"):
        await line.call("isochrone", {})
    await line.close()


async def test_a_refusal_keeps_its_worker(tmp_path: Path, stand_in: dict[str, str]):
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    for _ in range(3):
        with pytest.raises(NoWay, match="No suitable edges"):
            await line.call("refuse", {})
    await line.close()
    assert starts(stand_in) == 1


async def test_a_question_given_up_from_outside_leaves_no_answer_for_the_next(
    tmp_path: Path, stand_in: dict[str, str]
):
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    await line.call("isochrone", {})
    asking = asyncio.create_task(line.call("hang", {}))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert b'"n":7' in await line.call("isochrone", {"n": 7})
    await line.close()


async def test_a_question_before_one_that_is_given_up_from_outside_is_asked_again(
    tmp_path: Path, stand_in: dict[str, str]
):
    line = EmbeddedLine(tmp_path, stand_in, workers=1)
    await line.call("status", {})
    before = asyncio.create_task(line.call("isochrone", {"n": 1}))
    given_up = asyncio.create_task(line.call("isochrone", {"n": 2}))
    await asyncio.sleep(0)
    given_up.cancel()
    assert b'"n":1' in await before
    assert b'"n":3' in await line.call("isochrone", {"n": 3})
    await line.close()
    assert starts(stand_in) == 2


def test_without_a_python_that_has_valhalla_it_is_told_how_to_get_one(tmp_path: Path):
    (tmp_path / "0.gph").touch()
    with pytest.raises(RoadsError, match=r"python3.12 -m venv") as caught:
        EmbeddedLine(tmp_path, {VARIABLE: str(tmp_path / "nowhere")})
    assert "pip install pyvalhalla" in str(caught.value)
    assert f"export {VARIABLE}=" in str(caught.value)


@pytest.mark.skipif(find_spec("valhalla") is not None, reason="this Python has Valhalla")
async def test_a_python_without_valhalla_is_told_by_what_it_says(tmp_path: Path):
    (tmp_path / "0.gph").touch()
    line = EmbeddedLine(tmp_path, {VARIABLE: sys.executable}, workers=1)
    with pytest.raises(RoadsError, match="No module named 'valhalla'"):
        await line.call("status", {})
    await line.close()


async def test_something_that_is_no_python_does_not_start(tmp_path: Path):
    (tmp_path / "0.gph").touch()
    line = EmbeddedLine(tmp_path, {VARIABLE: "/bin/false"}, workers=1)
    with pytest.raises(RoadsError, match=r"Valhalla does not start: /bin/false: .*status 1"):
        await line.call("status", {})
    await line.close()


@pytest.mark.parametrize("folder", ["", "roads"])
def test_without_tiles_it_is_told_how_to_make_them(tmp_path: Path, folder: str):
    with pytest.raises(RoadsError, match="geoengine data add roads"):
        EmbeddedLine(tmp_path / folder, {})
