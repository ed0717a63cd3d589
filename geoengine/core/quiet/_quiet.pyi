import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs

# Finest cells per degree, bits from levels to buckets and to marks, levels of shape (L, 4), marks,
# start, items.
GridColumns = tuple[float, int, int, Longs, NDArray[np.uint8], Ints, Ints]
# Rows, twin_of, radius_m, zone_of; by zone prints and policy_ix; policies of shape (Q, 4).
CircleColumns = tuple[Floats, Ints, Floats, Ints, Longs, Ints, Floats]
# Slots and keys of the index; places, fix_ms, stay, suspect_count, flags, seen, mark.
DeviceColumns = tuple[
    Ints, Longs, Floats, Longs, Ints, NDArray[np.int8], NDArray[np.uint8], NDArray[np.uint32], Ints
]
# Zone prints, dwell_ms, lag_ms, is_alone.
StayColumns = tuple[Longs, Longs, Ints, Bools]
# Ids, lon_deg, lat_deg, accuracy_m, fix_ms, recv_ms, post_ix; out, zeros: minus the row of a device
# whose fix has been noted.
BatchColumns = tuple[list[str], Floats, Floats, Floats, Longs, Longs, Longs, Ints]

class Ground:
    def __init__(
        self,
        near: GridColumns,
        far: GridColumns,
        polygons: GridColumns,
        circles: CircleColumns,
        silence_ms: int,
        cross_gap_ms: int,
        fresh_min_ms: int,
        fresh_max_ms: int,
        cross_m: float,
        /,
    ) -> None: ...
    def note(
        self,
        devices: DeviceColumns,
        stays: StayColumns,
        batch: BatchColumns,
        barred: list[int],
        is_assumed: bool,
        now_ms: int,
        turn: int,
        /,
    ) -> int: ...
