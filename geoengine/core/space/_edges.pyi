import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Ints

# Columns and rows of cells, their kinds, how many runs each has, and these: int32, uint8, int32.
CellColumns = tuple[bytes, bytes, bytes, bytes, bytes]

class Edges:
    def __init__(
        self,
        points: Floats,
        leaf_first: Ints,
        leaf_count: Ints,
        leaf_boxes: Floats,
        branch_boxes: Floats,
        first_leaf: Ints,
        first_branch: Ints,
        planes: Floats,
        /,
    ) -> None: ...
    def cells(
        self, polygon_ix: int, column: int, row: int, width: int, height: int, /
    ) -> CellColumns: ...
    def keep(self, cell_runs: Ints, runs: Ints, kinds: NDArray[np.uint8], /) -> None: ...
    def measure(
        self,
        polygon_ix: Ints,
        lon_deg: Floats,
        lat_deg: Floats,
        cell_ix: Ints,
        edge_m: Floats,
        is_inside_only: bool,
        /,
    ) -> None: ...
    def measure_one(
        self,
        polygon_ix: int,
        lon_deg: float,
        lat_deg: float,
        cell_ix: int,
        is_inside_only: bool,
        /,
    ) -> float: ...
