import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Ints, Longs

# Columns and rows of cells, their kinds, where each begins in what is kept, and that.
CellColumns = tuple[bytes, bytes, bytes, bytes, bytes]
# Positions, polygons and distances of those inside; positions and entries of those unsure.
MatchColumns = tuple[bytearray, bytearray, bytearray, bytearray, bytearray]

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
    def find_by(
        self,
        per_deg: float,
        marks_coarser: int,
        levels: Longs,
        marks: NDArray[np.uint8],
        start: Ints,
        items: Ints,
        keys: Longs,
        cell_ix: Ints,
        /,
    ) -> None: ...
    def measure(
        self, polygon_ix: Ints, lon_deg: Floats, lat_deg: Floats, edge_m: Floats, /
    ) -> None: ...
    def match(self, lon_deg: Floats, lat_deg: Floats, /) -> MatchColumns: ...
    def match_one(self, lon_deg: float, lat_deg: float, /) -> list[tuple[int, float]] | None: ...
