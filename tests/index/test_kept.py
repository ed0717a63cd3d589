"""An index made again of its arrays answers as the one they come from."""

import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Polygon, box

from geoengine.core.columns import Floats
from geoengine.core.index import ZoneIndex
from geoengine.core.places.zones import Zones
from geoengine.core.space.edges import IS_COMPILED, Cells
from geoengine.core.space.kept import Arrays
from geoengine.core.space.polygons import Polygons
from tests.index.oracle import Circle, Shape, star, zones_of

COMPILED = pytest.mark.skipif(not IS_COMPILED, reason="built without a C compiler")
FIJI = MultiPolygon([box(179.7, -17.4, 180.0, -16.8), box(-180.0, -17.3, -179.6, -16.7)])


def with_hole(lon: float, lat: float) -> Polygon:
    return star(np.random.default_rng(5), lon, lat, 0.08, 200) - box(
        lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01
    )


def anywhere() -> list[Circle | Shape | None]:
    """Every kind of zone, large and small, in easy and in awkward places."""
    rng = np.random.default_rng(6)
    towns = [star(rng, *rng.uniform((2.0, 48.0), (2.6, 48.6)), 0.03, 90) for _ in range(40)]
    two = MultiPolygon([star(rng, 2.1, 48.1, 0.05), star(rng, 2.4, 48.1, 0.05)])
    polar = [box(10.0, 88.0, 40.0, 89.5), box(-180.0, -90.0, 180.0, -80.0), with_hole(25.0, 84.0)]
    circles = [(2.3, 48.3, 900.0), (179.99, -17.0, 5_000.0), (2.2, 48.2, 60_000.0)]
    return [circles[0], *towns, None, FIJI, two, with_hole(2.3, 48.3), *polar, *circles[1:], None]


def kept_of(index: ZoneIndex) -> Arrays:
    """Copies that nobody can write to, as a file's are."""
    arrays = {name: array.copy() for name, array in index.arrays.items()}
    for array in arrays.values():
        assert array.ndim == 1
        array.flags.writeable = False
    return arrays


@pytest.fixture(scope="module")
def zones() -> Zones:
    return zones_of(anywhere())


@pytest.fixture(scope="module")
def made(zones: Zones) -> ZoneIndex:
    return ZoneIndex(zones)


@pytest.fixture(scope="module")
def again(zones: Zones, made: ZoneIndex) -> ZoneIndex:
    return ZoneIndex(zones, kept_of(made))


@pytest.fixture(scope="module")
def fixes() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(7)
    boxes = [(1.9, 47.9, 2.7, 48.7), (-180.0, -90.0, 180.0, 90.0), (9.0, 83.0, 41.0, 90.0)]
    sides = [(179.5, -17.5, 180.0, -16.5), (-180.0, -17.5, -179.5, -16.5)]
    small = [(2.28, 48.28, 2.32, 48.32), (24.8, 83.9, 25.2, 84.1)]
    found = [rng.uniform(some[:2], some[2:], (2_000, 2)) for some in boxes + sides + small]
    return tuple(np.concatenate([*found, [(180.0, -17.0), (-180.0, -90.0)]]).T.copy())


def test_its_arrays_are_those_it_was_made_of(made: ZoneIndex, again: ZoneIndex) -> None:
    assert made.arrays.keys() == again.arrays.keys()
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, name)
    assert again.nbytes == made.nbytes


def test_it_matches_the_same(made: ZoneIndex, again: ZoneIndex, fixes: tuple[Floats, Floats]):
    found, expected = again.match(*fixes), made.match(*fixes)
    assert len(set(expected.zone_ix.tolist())) == len(made) - 2, "every zone but the places"
    for name in ("fix_ix", "zone_ix", "edge_m"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for lon, lat in np.stack(fixes, axis=1)[::7].tolist():
        assert again.match_one(lon, lat) == made.match_one(lon, lat)


def test_it_finds_the_same_ways_through(
    made: ZoneIndex, again: ZoneIndex, fixes: tuple[Floats, Floats]
) -> None:
    lon, lat = (column[:2_000] for column in fixes)
    ways = lon[::2], lat[::2], lon[1::2], lat[1::2]
    found, expected = again.crossings(*ways, 50.0), made.crossings(*ways, 50.0)
    assert len(expected.zone_ix) > 500
    for name in ("segment_ix", "zone_ix", "chord_m", "into", "out_of"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_it_measures_and_names_the_same(
    made: ZoneIndex, again: ZoneIndex, fixes: tuple[Floats, Floats]
) -> None:
    lon, lat = fixes
    zone_ix = np.arange(len(lon), dtype=np.int32) % len(made)
    found, expected = again.edge_m(zone_ix, lon, lat), made.edge_m(zone_ix, lon, lat)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again.bounds, made.bounds)
    assert again.nearest(2.3, 48.3, 9) == made.nearest(2.3, 48.3, 9)
    for ix in (1, 42, 43, 44):
        assert again.cells(ix, 6) == made.cells(ix, 6)


def test_no_polygons_are_nothing_to_keep() -> None:
    assert ZoneIndex(zones_of([(2.0, 48.0, 300.0), None])).arrays == {}
    assert len(Polygons([], Polygons([]).arrays)) == 0


def test_tables_of_other_polygons_are_refused() -> None:
    two = Polygons([box(2.0, 48.0, 2.1, 48.1), box(3.0, 48.0, 3.1, 48.1)])
    lacking = {name: array for name, array in two.arrays.items() if not name.endswith("start")}
    with pytest.raises(KeyError):
        Polygons(list(two.shapes), lacking)
    with pytest.raises(ValueError, match="polygons"):
        Polygons([box(2.0, 48.0, 2.1, 48.1)], two.arrays)


def test_cells_beyond_the_last_number_are_refused() -> None:
    nearly_all = np.broadcast_to(np.int32(0), 2**31 - 3)  # takes no room
    none = np.zeros(1, np.int32).tobytes()
    assert Cells(nearly_all).add([b"\0"], [none], [2 * none])[0].tolist() == [2**31 - 3]
    with pytest.raises(OverflowError, match="more cells"):
        Cells(nearly_all).add([b"\0"], [none], [3 * none])


def damaged(arrays: Arrays, name: str, at: int, value: int) -> Arrays:
    """The same arrays but for one number."""
    array = arrays[name].copy()
    array[at] = value
    return {**arrays, name: array}


@COMPILED
@pytest.mark.parametrize("value", [-(2**31), -2, 2**20, 2**31 - 1])
@pytest.mark.parametrize("at", [0, 7, -1])
@pytest.mark.parametrize(
    "name", ["edges.first_leaf", "edges.first_branch", "grid.start", "grid.items", "grid.levels"]
)
def test_tables_that_lead_out_of_others_are_refused(name: str, at: int, value: int) -> None:
    rng = np.random.default_rng(8)
    shapes = [star(rng, 2.0 + 0.1 * nth, 48.0, 0.03, 90) for nth in range(9)]
    kept = Polygons(shapes).arrays
    with pytest.raises(ValueError, match=r"polygon|place|level"):
        Polygons(shapes, damaged(kept, name, at % len(kept[name]), value))


@COMPILED
@pytest.mark.parametrize("value", [-1, 13, 2**20, 2**31 - 1])
def test_cells_that_list_what_is_not_theirs_are_refused(value: int) -> None:
    shapes = [star(np.random.default_rng(8), 2.0, 48.0, 0.03, 90)]
    kept = Polygons(shapes).arrays
    first = int(kept["grid.cell_ix"][kept["edges.cells"][kept["grid.cell_ix"] + 1] > 0][0])
    for name, at in (("grid.cell_ix", 0), *(("edges.cells", first + nth) for nth in (1, 2, 3))):
        if (name, value) != ("grid.cell_ix", -1) and (name, value) != ("grid.cell_ix", 13):
            with pytest.raises(ValueError, match="not its polygon's"):
                Polygons(shapes, damaged(kept, name, at, value))
