"""The fixes that change nothing, told in one compiled pass over a batch.

Most fixes touch no zone, or find somebody where they stood: all they change is the last fix of
their device and, of who stays, when they were last heard of. For these even a few dozen numpy calls
a batch are dear where batches are small. The pass looks at each fix once, notes those that are
*quiet* in the tables of the state, and leaves the rest to `scan`.

It may leave any fix, and leaves every one it is not sure of: whatever lies near an edge or a
threshold, passes a zone, is late, suspect, coarse, unknown, without consent, or comes after such a
fix of the same device. So `track`, `match`, `scan` and `stays` stay the only definition of what a
fix means, and the pass may only be quicker: to note a quiet fix first is to cut the batch behind
it, which changes nothing (tests/core/test_quiet.py holds it to that). It knows devices, not whose
they are: where two of one person's come in a batch, the quiet one counts first.

It is compiled where the package was built with a C compiler, as its wheels are; without it
everything runs the same, slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoengine.core.index import ZoneIndex
from geoengine.core.places.policy import Limits
from geoengine.core.places.zones import Zones
from geoengine.core.space.grid import Grid

if TYPE_CHECKING:
    from geoengine.core.quiet._quiet import GridColumns, Ground

try:
    from geoengine.core.quiet import _quiet
except ImportError:  # built without a compiler
    IS_COMPILED = False
else:
    IS_COMPILED = True


def ground_of(index: ZoneIndex, zones: Zones, limits: Limits) -> Ground | None:
    """What the pass reads of a Book's zones; None where it is not compiled."""
    if not IS_COMPILED:
        return None
    circles = index.circles
    policies = np.stack(
        [
            limits.confirm_enter_z,
            limits.confirm_leave_z,
            limits.buffer_m,
            limits.buffer_per_accuracy,
        ],
        axis=1,
    )
    return _quiet.Ground(
        _columns(circles.near.grid),
        _columns(circles.far_grid),
        _columns(index.polygons.grid),
        (
            circles.rows,
            circles.near.twin_of,
            circles.radius_m,
            index.circle_zones,
            zones.prints,
            zones.policy_ix,
            policies,
        ),
        limits.silence_min_ms,
        limits.cross_gap_max_ms,
        limits.fresh_min_ms,
        limits.fresh_max_ms,
        limits.cross_min_m,
    )


def _columns(grid: Grid) -> GridColumns:
    levels = [(level.shift, level.row_factor, level.mask, level.offset) for level in grid.levels]
    columns = np.array(levels, np.int64).reshape(-1, 4)
    sizes = grid.per_deg, grid.coarser, grid.marks_coarser
    return *sizes, columns, grid.marks, grid.start, grid.items
