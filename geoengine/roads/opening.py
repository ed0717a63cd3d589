"""The router that the catalogue names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geoengine.core.errors import RoadsError
from geoengine.core.model import RoadsSpec
from geoengine.roads import tiles
from geoengine.roads.base import Router
from geoengine.roads.openrouteservice import OpenRouteService
from geoengine.roads.valhalla_embedded import EmbeddedLine
from geoengine.roads.valhalla_http import HttpLine
from geoengine.roads.valhalla_router import ValhallaRouter


def open_router(spec: RoadsSpec, environ: Mapping[str, str]) -> Router:
    """A router, not yet asked anything. Raises `RoadsError` that says what `engine.roads` lacks.

    >>> open_router(RoadsSpec(router="valhalla"), {})
    Traceback (most recent call last):
    geoengine.core.errors.RoadsError: engine.roads needs `url` or `tiles`, one of them
    """
    if spec.router == "openrouteservice":
        return _openrouteservice(spec, environ)
    if (spec.url is None) == (spec.tiles is None):
        raise RoadsError("engine.roads needs `url` or `tiles`, one of them")
    if spec.url is not None:
        return ValhallaRouter(HttpLine(spec.url))
    folder, network = tiles.opened(Path(spec.tiles or ""))
    return ValhallaRouter(EmbeddedLine(folder, environ), network)


def _openrouteservice(spec: RoadsSpec, environ: Mapping[str, str]) -> OpenRouteService:
    if spec.url is None or spec.tiles is not None:
        raise RoadsError("engine.roads with openrouteservice needs `url`, and no `tiles`")
    key = None
    if spec.key is not None:
        key = environ.get(spec.key.env)
        if not key:
            raise RoadsError(f"engine.roads.key: the variable {spec.key.env} is not set")
    return OpenRouteService(spec.url, key)
