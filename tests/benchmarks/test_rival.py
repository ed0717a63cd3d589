"""The harness beside a rival: its oracle, what it sends, and what it makes of a wrong engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rival import tile38
from benchmarks.rival.oracle import inside, set_difference
from benchmarks.rival.told import gathered, wrong
from geoengine.core.columns import Fixes
from tests.index.oracle import circles_of, geodesic_edge_m

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_oracle_holds_what_the_geodesic_holds(seed: int):
    rng = np.random.default_rng(seed)
    zones = circles_of(
        rng.uniform(2.0, 2.2, 30), rng.uniform(48.0, 48.2, 30), rng.uniform(50, 4_000, 30)
    )
    lon, lat = rng.uniform(2.0, 2.2, 700), rng.uniform(48.0, 48.2, 700)
    fixes = Fixes.of(["d"] * 700, lon, lat, np.arange(700))
    found = set(zip(*(ix.tolist() for ix in inside(zones, fixes, is_sphere=False)), strict=True))
    row, column = np.nonzero(geodesic_edge_m(zones, lon, lat) <= 0)
    assert found == set(zip(row.tolist(), column.tolist(), strict=True))


def test_the_plain_rule_tells_a_step_in_and_a_step_out():
    zones = circles_of(np.array([2.0]), np.array([48.0]), np.array([300.0]))
    lat = np.array([48.01, 48.0, 48.001, 48.01, 48.0])
    fixes = Fixes.of(["ann"] * 5, np.full(5, 2.0), lat, np.arange(5))
    assert set_difference(zones, fixes, is_sphere=True) == {
        ("ann", "z0"): ["enter", "exit", "enter"]
    }


def test_an_event_missing_or_out_of_order_is_wrong():
    truth = gathered([("a", "z", "enter"), ("a", "z", "exit"), ("b", "z", "enter")])
    assert wrong(truth, truth) == 0
    assert wrong(gathered([("a", "z", "enter")]), truth) == 2
    assert (
        wrong(gathered([("a", "z", "exit"), ("a", "z", "enter"), ("b", "z", "enter")]), truth) == 2
    )


def test_without_the_rival_the_harness_says_so_and_ends_well():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench_tile38.py")],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": "/nowhere"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tile38: no tile38-server on the PATH: skipped\n"


def against_the_double(tmp_path: Path, **environ: str) -> dict[str, tuple[int, int]]:
    """Events and wrong events of each way, with the double in the rival's place."""
    program = tmp_path / "bin" / "tile38-server"
    program.parent.mkdir()
    double = Path(__file__).parent / "tile38_double.py"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{double}" "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [
            sys.executable, str(BENCHMARKS / "bench_tile38.py"), "--zones", "60",
            "--devices", "100", "--fixes", "1000", "--rounds", "1", "--out", str(tmp_path / "page"),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", **environ},
        timeout=180,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (tmp_path / "page").read_text().splitlines()
        if line.startswith(("| Tile38", "| geoengine"))
    ]
    return {row[0]: (int(row[4].replace(",", "")), int(row[5].replace(",", ""))) for row in rows}


def test_both_engines_are_driven_every_way_and_tell_what_is_true(tmp_path: Path):
    ways = against_the_double(tmp_path)
    assert len(ways) == 8
    assert all(events > 10 for events, _ in ways.values())
    assert all(wrong_count == 0 for _, wrong_count in ways.values())


def test_an_engine_that_never_lets_anybody_go_is_found_out(tmp_path: Path):
    ways = against_the_double(tmp_path, DOUBLE_FORGETS="1")
    assert all(
        (wrong_count > 0) == way.startswith("Tile38") for way, (_, wrong_count) in ways.items()
    )


@pytest.mark.parametrize("ping_count", [1, 3])
def test_a_script_has_no_space_in_it_and_three_words_a_ping(ping_count: int):
    (request,) = tile38.by_script([("d1", "48.1", "2.1")] * ping_count)
    words = request.wire.partition(b"\r\n\r\n")[2].split(b" ")
    assert words[0] == b"EVAL" and words[2] == b"0"
    assert len(words) == 3 + 3 * ping_count
