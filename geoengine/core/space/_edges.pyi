import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Ints

# Columns and rows of cells, their kinds, where each begins in what is kept, and that.
CellColumns = tuple[bytes, bytes, bytes, bytes, bytes]

class Edges:
    def __init__(
        self,
        leaves: Floats,
        leaf_boxes: NDArray[np.float32],
        branch_boxes: NDArray[np.float32],
        first_leaf: Ints,
        first_branch: Ints,
        planes: Floats,
        /,
    ) -> None: ...
    def cells(
        self, polygon_ix: int, column: int, row: int, width: int, height: int, /
    ) -> CellColumns: ...
    def keep(self, cells: Ints, /) -> None: ...
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
