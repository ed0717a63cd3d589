"""What the compiled pass is called with: numbers that agree, and arrays that are what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoengine.core import quiet, units
from geoengine.core.columns import NEVER_MS, STAYS_MAX, Fixes
from geoengine.core.look import stays, track
from geoengine.core.quiet import _columns
from geoengine.core.space import geodesy, near, plane, tables, ways
from geoengine.state import flags
from geoengine.state.embedded.held import device_index
from tests.core.roads import COMPILED, Ground, Shape
from tests.core.world import LAT, LON, NOON_MS, Walk, spot

FOLDER = Path(quiet.__file__).parent
REPEATED = {
    "ROW_FACTOR": tables.ROW_FACTOR,
    "SEVERAL": tables.SEVERAL,
    "PRINT_SHIFT": tables.PRINT_SHIFT,
    "NEAR_Q": near._NEAR_Q,
    "FAR_DEG2": near.FAR_DEG2,
    "EDGE_ERROR_M": geodesy.POLYNOMIAL_ERROR_M,
    "SHORT_DEG": ways._SHORT_DEG,
    "POLAR_DEG": ways._POLAR_DEG,
    "SAGITTA_PER_DEG2": ways._SAGITTA_PER_DEG2,
    "PAD_DEG": ways._PAD_DEG,
    "UNKNOWN": device_index.UNKNOWN,
    "LEFT": device_index._LEFT,
    "FIRST_ROW": device_index.FIRST_ROW,
    "IS_LOCATED": flags.IS_LOCATED,
    "IS_OBSERVED": flags.IS_OBSERVED,
    "HAS_REFUSED": flags.HAS_REFUSED,
    "STAYS_MAX": STAYS_MAX,
    "NEVER_MS": NEVER_MS,
    "LAG_MAX_MS": stays.LAG_MAX_MS,
    "DEGREE_MAX_M": track.DEGREE_MAX_M,
    "SPEED_MAX_MPS": units.SPEED_MAX_MPS,
    "SEGMENT_MAX_M": units.SEGMENT_MAX_M,
    "ACCURACY_MIN_M": units.ACCURACY_MIN_M,
    "ACCURACY_PER_SIGMA": units.ACCURACY_PER_SIGMA,
    "COARSE_SIGMAS": units.COARSE_SIGMAS,
}
ITS_OWN = {"AHEAD", "CELLS_MAX", "PAIRS_MAX", "BARRED", "SURE"}
_DEFINE = re.compile(r"^#define (\w+) (.+?)(?:/\*.*)?$", re.MULTILINE)


def source(name: str) -> str:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return path.read_text()


def test_numbers_written_twice_are_the_same():
    text = source("ground.h") + source("pass.h")
    written = {name: eval(value.replace("(int64_t)", "")) for name, value in _DEFINE.findall(text)}
    assert {name: written[name] for name in REPEATED} == pytest.approx(REPEATED, rel=1e-15)
    assert written.keys() == REPEATED.keys() | ITS_OWN, "a number of its own, or whose?"


def test_a_way_is_judged_by_the_same_slack():
    body = source("ground.h").partition("static int may_cut(")[2].partition("\n}\n")[0]
    numbers = {float(number) for number in re.findall(r"\b\d+\.\d+\b", body)}
    assert numbers == {0.0, 1.0, plane._FAR_AWAY, plane._SLACK, plane._SLACK_PER_DEG}


# --- arguments ----------------------------------------------------------------------------------

GROUND = Ground.of(LON, LAT, [Shape(0, 0, 100), Shape(5_000, 0, 200, points=4), Shape(9_000, 0, 5)])
GRID = ("per_deg", "coarser", "marks_coarser", "levels", "marks", "start", "items")
CIRCLES = ("rows", "twin_of", "radius_m", "zone_of", "prints", "policy_ix", "policies")
DEVICES = ("slots", "keys", "places", "fix_ms", "stay", "suspect_count", "flags", "seen", "mark")
STAYS = ("zone_prints", "dwell_ms", "stay_lag_ms", "is_alone")
BATCH = ("ids", "lon_deg", "lat_deg", "accuracy_m", "at_ms", "recv_ms", "post_ix", "noted")
IDS = ["ann", "bob", "eve"]
WRITTEN = {"places", "fix_ms", "seen", "mark", "stay_lag_ms", "noted"}

Columns = dict[str, Any]


def grounds() -> list[Columns]:
    """What a Ground is made of: three grids, and the circles."""
    book = GROUND.book
    index, zones, limits = book.index, book.zones, book.limits
    names = ("confirm_enter_z", "confirm_leave_z", "buffer_m", "buffer_per_accuracy")
    circles = (
        index.circles.rows,
        index.circles.near.twin_of,
        index.circles.radius_m,
        index.circle_zones,
        zones.prints,
        zones.policy_ix,
        np.stack([getattr(limits, name) for name in names], axis=1),
    )
    grids = (index.circles.near.grid, index.circles.far_grid, index.polygons.grid)
    columns = [dict(zip(GRID, _columns(grid), strict=True)) for grid in grids]
    return [*columns, dict(zip(CIRCLES, circles, strict=True))]


def ground_of(parts: list[Columns]) -> Any:
    return quiet._quiet.Ground(
        *(tuple(part.values()) for part in parts), 1_800_000, 300_000, 300_000, 300_000, 50.0
    )


def tables_of() -> tuple[Columns, Columns, Columns]:
    """Three devices far from everything, each heard of a minute ago, and a fix of each."""
    rows, slots = 8, np.zeros(16, np.int32)
    keys = np.zeros(rows, np.int64)
    for row, device_id in enumerate(IDS, 2):
        keys[row] = hash(device_id)
        at = int(keys[row]) & 15
        while slots[at]:
            at = (at + 1) & 15
        slots[at] = row
    lon_deg, lat_deg = np.full(3, LON), np.full(3, LAT + 2)
    devices = (
        slots,
        keys,
        np.tile([LON, LAT + 2, 10.0], (rows, 1)),
        np.full(rows, NOON_MS),
        np.full(rows, -1, np.int32),
        np.zeros(rows, np.int8),
        np.full(rows, flags.IS_LOCATED, np.uint8),
        np.zeros(rows, np.uint32),
        np.zeros(rows, np.int32),
    )
    standing = (
        np.zeros((4, STAYS_MAX), np.int64),
        *(np.zeros(4, d) for d in (np.int64, np.int32, bool)),
    )
    at_ms = np.full(3, NOON_MS + 60_000)
    batch = ([*IDS], lon_deg, lat_deg, np.full(3, 10.0), at_ms, at_ms, np.zeros(3, np.int64))
    return (
        dict(zip(DEVICES, devices, strict=True)),
        dict(zip(STAYS, standing, strict=True)),
        dict(zip(BATCH, (*batch, np.zeros(3, np.int32)), strict=True)),
    )


def note(
    ground: Any, tables: tuple[Columns, Columns, Columns], barred: Any = None, *, turn: Any = 7
) -> int:
    parts = (tuple(part.values()) for part in tables)
    noted: int = ground.note(*parts, [] if barred is None else barred, True, NOON_MS + 60_000, turn)
    return noted


def other(array: np.ndarray) -> np.ndarray:
    return np.zeros(array.shape, np.int16)  # as many items, of two bytes: no column has such


def longer(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, array[-1:]])


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=0)[::2]


def sealed(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


SPOILT = [
    pytest.param(name, spoil, id=f"{name}-{spoil.__name__}")
    for name in (*DEVICES, *STAYS, *BATCH[1:])
    for spoil in (other, longer, strided, sealed, list)
    if (spoil is not sealed or name in WRITTEN) and (spoil is not longer or name != "keys")
]


@COMPILED
def test_well_made_arguments_are_taken():
    tables = tables_of()
    assert note(ground_of(grounds()), tables, [3, 6]) == 2
    devices, _, batch = tables
    assert batch["noted"].tolist() == [-2, 3, -4]
    assert devices["fix_ms"].tolist()[2:5] == [NOON_MS + 60_000, NOON_MS, NOON_MS + 60_000]
    assert devices["seen"].tolist()[2:5] == [7, 0, 7]
    assert not devices["mark"].any()


@COMPILED
@pytest.mark.parametrize(("name", "spoil"), SPOILT)
def test_arrays_that_are_not_what_they_should_be_are_refused(
    name: str, spoil: Callable[[np.ndarray], Any]
):
    tables = tables_of()
    before = [column.copy() for part in tables for column in part.values()]
    part = next(part for part in tables if name in part)
    kept, part[name] = part[name], spoil(part[name])
    with pytest.raises((TypeError, ValueError, BufferError)):
        note(ground_of(grounds()), tables, [3])
    part[name] = kept
    after = [column for part in tables for column in part.values()]
    assert [np.asarray(x).tolist() for x in after] == [np.asarray(x).tolist() for x in before]


@COMPILED
@pytest.mark.parametrize(
    ("ids", "barred"),
    [
        (["ann", [], "eve"], []),
        (["ann", "bob", {}], []),
        (["ann", "bob"], []),
        (("ann", "bob", "eve"), []),
        (IDS, ["ann"]),
        (IDS, [3, None]),
        (IDS, (3,)),
        (IDS, [1 << 70]),
    ],
)
def test_ids_and_rows_that_make_no_sense_are_refused(ids: Any, barred: Any):
    tables = tables_of()
    devices, _, batch = tables
    batch["ids"] = ids
    with pytest.raises((TypeError, ValueError, OverflowError)):
        note(ground_of(grounds()), tables, barred)
    assert (devices["fix_ms"] == NOON_MS).all()


@COMPILED
@pytest.mark.parametrize(("ids", "barred"), [(["ann", [], "eve"], [3]), (IDS, [3, None])])
def test_no_mark_is_left_behind_by_what_was_refused(ids: Any, barred: Any):
    tables = tables_of()
    devices, _, batch = tables
    batch["ids"] = ids
    with pytest.raises(TypeError):
        note(ground_of(grounds()), tables, barred)
    assert not devices["mark"].any()


@COMPILED
def test_rows_out_of_the_table_bar_nobody():
    tables = tables_of()
    assert note(ground_of(grounds()), tables, [-5, 0, 1, 8, 10**9]) == 3
    assert not tables[0]["mark"].any()


@COMPILED
@pytest.mark.parametrize("part", range(4), ids=["near", "far", "polygons", "circles"])
@pytest.mark.parametrize("spoil", [other, strided, list])
def test_a_ground_is_made_of_whole_columns(part: int, spoil: Callable[[np.ndarray], Any]):
    names = CIRCLES if part == 3 else GRID[3:]
    for name in names:
        parts = grounds()
        if spoil is strided and len(parts[part][name]) < 2:
            continue
        parts[part][name] = spoil(parts[part][name])
        with pytest.raises((TypeError, ValueError, BufferError)):
            ground_of(parts)


@COMPILED
def test_a_ground_is_made_once_of_columns_that_go_together():
    kind = quiet._quiet.Ground
    parts = grounds()
    parts[3]["zone_of"] = longer(parts[3]["zone_of"])
    with pytest.raises(ValueError, match="zone_of"):
        ground_of(parts)
    parts = grounds()
    parts[3]["policies"] = parts[3]["policies"].reshape(-1)[:3].copy()
    with pytest.raises(ValueError, match="policies"):
        ground_of(parts)
    ground = ground_of(grounds())
    arguments = (*(tuple(part.values()) for part in grounds()), 1, 2, 3, 4, 5.0)
    for bad in (arguments[:-1], (*arguments, 6), (None, *arguments[1:])):
        with pytest.raises((TypeError, SystemError)):
            kind(*bad)
    with pytest.raises(TypeError):
        kind(*arguments, silence_ms=1)
    with pytest.raises(TypeError, match="made once"):
        ground.__init__(*arguments)
    assert note(ground, tables_of()) == 3


@COMPILED
def test_a_ground_that_was_never_made_notes_nothing():
    kind = quiet._quiet.Ground
    with pytest.raises(TypeError, match="never made"):
        note(kind.__new__(kind), tables_of())
    with pytest.raises(TypeError):
        kind()


@COMPILED
def test_a_ground_that_could_not_be_made_notes_nothing():
    kind = quiet._quiet.Ground
    parts = grounds()
    parts[3]["policies"] = parts[3]["policies"].reshape(-1)[:3].copy()
    ground = kind.__new__(kind)
    with pytest.raises(ValueError, match="policies"):
        ground.__init__(*(tuple(part.values()) for part in parts), 1, 2, 3, 4, 5.0)
    with pytest.raises(TypeError, match="never made"):
        note(ground, tables_of())


@COMPILED
@pytest.mark.parametrize(
    ("part", "name", "keep", "what"),
    [
        (0, "start", 3, "start"),
        (0, "items", 0, "items"),
        (0, "marks", 3, "marks"),
        (3, "rows", 1, "rows"),
        (3, "policy_ix", 0, "policy_ix"),
    ],
)
def test_tables_that_do_not_go_together_make_no_ground(part: int, name: str, keep: int, what: str):
    parts = grounds()
    parts[part][name] = parts[part][name][:keep].copy()
    with pytest.raises(ValueError, match=what):
        ground_of(parts)


@COMPILED
async def test_columns_with_gaps_are_noted_as_others_are():
    """A caller's columns need not lie close in memory."""
    walk = Walk(GROUND.book)
    for minute in range(3):
        lon_deg = np.full((2, 2), spot(-4_000)[0])[:, 0]
        fixes = Fixes.of(
            ["ann", "bob"], lon_deg, np.full(2, LAT), np.full(2, NOON_MS + 60_000 * minute)
        )
        assert not fixes.lon_deg.flags.c_contiguous
        await walk.run(fixes=fixes, now_ms=NOON_MS + 60_000 * minute)
    known = await walk.state.known(fixes)
    assert known.fix_ms.tolist() == [NOON_MS + 120_000] * 2
