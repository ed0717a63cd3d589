"""With and without the compiled part: what is built, and that no event tells which one ran."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from geoengine.catalog import load
from geoengine.core.quiet import IS_COMPILED
from geoengine.replay.gather import gather
from geoengine.replay.run import replay
from geoengine.replay.traces import TraceOptions
from tests.core.roads import COMPILED, Watchful

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE", "geoengine")
HEADER = Path(sysconfig.get_path("include")) / "Python.h"

compiler = pytest.mark.skipif(
    shutil.which("gcc") is None or not HEADER.exists(), reason="no gcc, or no headers of Python"
)

# --- the same bytes -------------------------------------------------------------------------------

BLOCKED = "import sys; sys.modules['geoengine.core.quiet._quiet'] = None; "
CATALOGUE = """
stores:
  - {id: rivoli, name: Rivoli, location: {lat: 48.8583, lon: 2.3470}, reach: {radius_m: 300}}
  - {id: marais, name: Marais, location: {lat: 48.8590, lon: 2.3510}, reach: {radius_m: 250}}
  - {id: bastille, name: Bastille, location: {lat: 48.8533, lon: 2.3692}, reach: {radius_m: 60}}
  - {id: nation, name: Nation, location: {lat: 48.8483, lon: 2.3959}, reach: {radius_m: 900}}
campaigns:
  - {id: hello, on: enter, levers: [push], caps: [{max: 1, per: day}], message: {en: "Hello"}}
  - {id: stay, on: dwell, levers: [push], message: {en: "Still here?"}}
  - {id: through, on: crossed, levers: [push], message: {en: "Come in"}}
  - {id: bye, on: exit, levers: [push], hold_out: 50%, message: {en: "Bye"}}
engine: {lawful_hours: {}}
"""
SHOPS = [(48.8583, 2.3470), (48.8590, 2.3510), (48.8533, 2.3692), (48.8483, 2.3959)]
EDGES = [(48.8610, 2.3470), (48.8612, 2.3512), (48.8538, 2.3692), (48.8400, 2.3959)]
AWAY = [(48.80, 2.30), (48.90, 2.45), (48.83, 2.40)]
START_S = 1_776_160_800
BATCH_ROWS = 40  # a device has to be known before a fix of it can be quiet


def wanderer(rng: random.Random, name: str) -> Iterator[dict[str, Any]]:
    """Hours between shops, their edges and places far off: long stops, walks, a few lies."""
    at_s = START_S + rng.uniform(0, 600)
    spots = [rng.choice(rng.choice([SHOPS, SHOPS, EDGES, AWAY])) for _ in range(7)]
    for (lat, lon), (next_lat, next_lon) in pairwise(spots):
        steps = max(2, round(math.hypot(next_lat - lat, next_lon - lon) * 111_000 / 400))
        way = [0.0] * rng.randrange(5, 40) + [step / steps for step in range(steps)]
        for share in way:
            at_s += rng.uniform(15, 60)
            held_s = 200 if rng.random() < 0.02 else 1
            jump = 0.05 if rng.random() < 0.03 else 0
            yield {
                "device_id": name,
                "lat": lat + share * (next_lat - lat) + rng.gauss(0, 0.00012) + jump,
                "lon": lon + share * (next_lon - lon) + rng.gauss(0, 0.00012),
                "accuracy_m": rng.choice([5, 12, 25, 25, 80, 400]),
                "fix_time": round(at_s, 3),
                "recv_time": round(at_s + held_s, 3),
            }


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue, and forty people about town for a few hours, as they were posted."""
    made = tmp_path_factory.mktemp("town")
    (made / "config").mkdir()
    (made / "config" / "shops.yaml").write_text(CATALOGUE)
    rng = random.Random(7)
    rows = [row for device in range(40) for row in wanderer(rng, f"d{device}")]
    rows.sort(key=lambda row: row["recv_time"])
    (made / "trace.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def geoengine(before: str, *words: str) -> bytes:
    """What the command prints in a process of its own that runs ``before`` first."""
    code = f"{before}from geoengine.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@COMPILED
def test_a_replay_without_the_compiled_part_tells_the_same_bytes(here: Path):
    words = ("replay", "--config", f"{here}/config", f"{here}/trace.ndjson", "--as-posted")
    options = ("--assume", "push", "--until-silent", "--batch-rows", str(BATCH_ROWS))
    told = geoengine("", *words, *options)
    types = {json.loads(line)["type"].removeprefix("geoengine.") for line in told.splitlines()}
    assert types >= {"zone.entered", "zone.dwelled", "zone.exited", "zone.crossed", "trigger.fired"}
    assert geoengine(BLOCKED, *words, *options) == told


@COMPILED
def test_the_compiled_part_takes_most_of_that_replay(here: Path):
    state = Watchful(None)
    trace = gather([here / "trace.ndjson"], TraceOptions(is_as_posted=True))

    async def go() -> None:
        await state.open()
        await replay(
            state, load(here / "config"), trace, lambda events: None, batch_rows=BATCH_ROWS
        )
        await state.close()

    asyncio.run(go())
    assert 0.5 * trace.row_count < state.taken_count < trace.row_count


def test_the_version_says_whether_the_compiled_part_is_there():
    assert geoengine("", "--version").endswith(b"yes\n" if IS_COMPILED else b"no\n")
    assert geoengine(BLOCKED, "--version").endswith(b", compiled: no\n")


# --- what gets built ------------------------------------------------------------------------------

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds with the back end that pyproject.toml asks for; returns what was made."""
    made = tmp_path_factory.mktemp("build")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--target", made / "backend", "setuptools>=77"], capture_output=True, check=True
    )

    def built(kind: str, source: Path, **environment: str) -> Path:
        into = made / f"{kind}{len(list(made.iterdir()))}"
        code = f"from setuptools import build_meta; build_meta.build_{kind}({str(into)!r})"
        environment |= {"PYTHONPATH": f"{made}/backend"}
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=source, env=os.environ | environment, capture_output=True, check=True, timeout=120,
        )  # fmt: skip
        (found,) = into.iterdir()
        return found

    return built


@pytest.fixture(scope="module")
def source(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the source distribution holds, unpacked."""
    made = tmp_path_factory.mktemp("source")
    (made / "tree").mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, made / "tree" / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, made / "tree")
    subprocess.run(["tar", "xf", build("sdist", made / "tree"), "-C", made], check=True)
    (unpacked,) = made.glob("geoengine-*")
    return unpacked


def in_wheel(wheel: Path, into: Path) -> tuple[set[str], str]:
    """The names of the compiled part's files, and what the wheel's own command says of it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    names = {Path(path).name.partition(".cpython")[0] for path in into.glob("*/core/quiet/*")}
    version = subprocess.run(
        [sys.executable, "-c", "from geoengine.cli import main; main()", "--version"],
        cwd=into, env=os.environ | {"PYTHONPATH": str(into)}, text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    return names, version.stdout.strip().rpartition(", ")[2]


@compiler
def test_a_wheel_from_the_sdist_holds_the_compiled_part_and_not_its_sources(
    build: Build, source: Path, tmp_path: Path
):
    names, told = in_wheel(build("wheel", source), tmp_path)
    assert names == {"__init__.py", "_quiet.pyi", "_quiet"}
    assert told == "compiled: yes"
    functions = sorted(path.name for path in tmp_path.glob("geoengine/state/shared/functions/*"))
    assert functions and functions == sorted(
        path.name for path in (ROOT / "geoengine/state/shared/functions").glob("*.lua")
    )


def test_a_wheel_is_built_without_a_compiler_and_works(build: Build, source: Path, tmp_path: Path):
    # Cut off from what another build has left beside the sources.
    shutil.copytree(source, tmp_path / "tree", ignore=shutil.ignore_patterns("build", "*.so"))
    wheel = build("wheel", tmp_path / "tree", CC="/nonexistent/cc")
    names, told = in_wheel(wheel, tmp_path / "wheel")
    assert names == {"__init__.py", "_quiet.pyi"}
    assert told == "compiled: no"
