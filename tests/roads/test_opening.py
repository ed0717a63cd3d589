"""What `engine.roads` names is opened, or what it lacks is told."""

from __future__ import annotations

import pytest

from geoengine.core.errors import RoadsError
from geoengine.core.model import RoadsSpec, SecretFrom
from geoengine.roads.opening import open_router
from geoengine.roads.openrouteservice import OpenRouteService

ORS = "https://api.openrouteservice.org"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RoadsSpec(router="valhalla"), "`url` or `tiles`"),
        (RoadsSpec(router="valhalla", url="http://x", tiles="y"), "`url` or `tiles`"),
        (RoadsSpec(router="valhalla", url="x:8002"), "expected http://HOST:PORT"),
        (RoadsSpec(router="valhalla", tiles="nowhere"), "geoengine data add roads"),
        (RoadsSpec(router="openrouteservice"), "needs `url`"),
        (RoadsSpec(router="openrouteservice", url=ORS, tiles="y"), "no `tiles`"),
        (RoadsSpec(router="openrouteservice", url=ORS, key=SecretFrom(env="ORS_KEY")), "ORS_KEY"),
    ],
)
def test_what_is_missing_is_told(spec: RoadsSpec, expected: str):
    with pytest.raises(RoadsError, match=expected):
        open_router(spec, {})


def test_a_key_comes_from_the_environment():
    spec = RoadsSpec(router="openrouteservice", url=ORS, key=SecretFrom(env="ORS_KEY"))
    assert isinstance(open_router(spec, {"ORS_KEY": "5b3ce3"}), OpenRouteService)
