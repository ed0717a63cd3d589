"""Evidence of a batch, and coarse positions."""

import h3
import numpy as np
import pytest

from geoengine.core.columns import Evidence
from geoengine.core.index import ZoneIndex
from geoengine.core.match import SCALAR_BELOW, coarse_cell, match
from tests.index.oracle import zones_of


@pytest.fixture(scope="module")
def index() -> ZoneIndex:
    rng = np.random.default_rng(1)
    places = zip(rng.uniform(2, 3, 200), rng.uniform(48, 49, 200), strict=True)
    return ZoneIndex(zones_of([(float(x), float(y), 3_000.0) for x, y in places]))


def test_where_a_trace_is_cut_into_batches_cannot_be_seen(index: ZoneIndex) -> None:
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(2, 3, 150), rng.uniform(48, 49, 150)
    whole = match(lon, lat, index)
    for size in (1, 7, SCALAR_BELOW - 1, SCALAR_BELOW, 100):
        parts = []
        for begin in range(0, 150, size):
            part = match(lon[begin : begin + size], lat[begin : begin + size], index)
            parts.append(Evidence(part.fix_ix + np.int32(begin), part.zone_ix, part.edge_m))
        joined = Evidence.concat(parts)
        assert joined.fix_ix.tolist() == whole.fix_ix.tolist()
        assert joined.zone_ix.tolist() == whole.zone_ix.tolist()
        assert joined.edge_m.tolist() == whole.edge_m.tolist()


@pytest.mark.parametrize("size", [0, 1, SCALAR_BELOW])
def test_columns_keep_their_types_whatever_the_size(index: ZoneIndex, size: int) -> None:
    for lon in (2.5, -60.0):
        evidence = match(np.full(size, lon), np.full(size, 48.5), index)
        assert (evidence.fix_ix.dtype, evidence.zone_ix.dtype) == (np.int32, np.int32)
        assert evidence.edge_m.dtype == np.float64


def test_a_coarse_cell_hides_the_position_within_it() -> None:
    cell = coarse_cell(2.3470, 48.8583, 7)
    assert cell == coarse_cell(2.3475, 48.8588, 7)
    assert h3.get_resolution(cell) == 7
    assert coarse_cell(2.3470, 48.8583, 10) != coarse_cell(2.3520, 48.8583, 10)
