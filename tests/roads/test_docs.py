"""docs/roads.md says the numbers and names that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.roads.http import AGAIN_S, RETRY_AFTER_MAX_S
from geoengine.roads.isochrone import (
    COARSER,
    CORNERS,
    CUT_OFF,
    EDGE_M,
    FASTEST_MPS,
    SLIVER_SHARE,
    SNAP_M,
    TOLERANCE_M,
)
from geoengine.roads.openrouteservice import NO_MAP, PROFILE
from geoengine.roads.tiles import PROGRAMS
from geoengine.roads.valhalla_python import VARIABLE
from geoengine.roads.valhalla_router import COSTING, FURTHER_SHARE, WALKING_KMH

DOCS = " ".join((Path(__file__).parents[2] / "docs" / "roads.md").read_text().split())
SAID = [
    f"at most {TOLERANCE_M['walk']:.0f} m on foot, {TOLERANCE_M['bike']:.0f} m by bicycle, "
    f"{TOLERANCE_M['drive']:.0f} m by car",
    f"more than {CORNERS} corners are left it is {COARSER} times",
    f"below {SLIVER_SHARE:.0%} of the area".replace("%", " %"),
    f"begins more than {SNAP_M:.0f} m away",
    f"no road within {SNAP_M:.0f} m",
    f"than {FASTEST_MPS['walk']:.0f} m/s on foot, {FASTEST_MPS['bike']:.0f} by bicycle, "
    f"{FASTEST_MPS['drive']:.0f} by car",
    f"within {EDGE_M['walk']:.0f} m (on foot; {EDGE_M['bike']:.0f} by bicycle, "
    f"{EDGE_M['drive']:.0f} by car)",
    CUT_OFF,
    f"at {WALKING_KMH} km/h",
    f"less than {FURTHER_SHARE:.0%} the area on foot stays".replace("%", " %"),
    f"after {AGAIN_S[0]:g}, {AGAIN_S[1]:g} and {AGAIN_S[2]:g} s",
    f"up to {RETRY_AFTER_MAX_S:.0f} s",
    f"500 with code {NO_MAP}",
    f"export {VARIABLE}=",
    f"`{PROGRAMS}` names their folder",
    *(f"`{name}`" for name in {*PROFILE.values(), *COSTING.values()}),
]


@pytest.mark.parametrize("said", sorted(SAID))
def test_the_page_says_what_the_code_does(said: str):
    assert said in DOCS
