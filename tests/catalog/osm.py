"""Extracts of OpenStreetMap written for a test: buildings in metres around a place in Paris."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.core.world import spot

Ring = list[tuple[float, float]]  # corners, metres east and north; closed by the writer


def rectangle(east_m: float, north_m: float, width_m: float, height_m: float) -> Ring:
    """A rectangle by its south-western corner."""
    east, north = east_m + width_m, north_m + height_m
    return [(east_m, north_m), (east, north_m), (east, north), (east_m, north)]


def degrees(ring: Ring) -> list[list[float]]:
    """A ring of GeoJSON."""
    return [list(spot(*corner)) for corner in [*ring, ring[0]]]


def feature(ring: Ring, **facts: Any) -> dict[str, Any]:
    """A feature of GeoJSON."""
    geometry = {"type": "Polygon", "coordinates": [degrees(ring)]}
    return {"type": "Feature", "properties": {}, "geometry": geometry} | facts


class Extract:
    """An extract in the making; `save` writes it as OSM XML."""

    def __init__(self) -> None:
        self._nodes: list[str] = []
        self._ways: list[str] = []
        self._relations: list[str] = []

    def way(self, way_id: int, ring: Ring, *, is_open: bool = False, **tags: str) -> Extract:
        """A closed way, or one that lacks its last side; by default a building."""
        refs = [self._node(corner) for corner in ring]
        refs += [] if is_open else refs[:1]
        refs_said = "".join(f'<nd ref="{ref}"/>' for ref in refs)
        said = _tags(tags or {"building": "yes"})
        self._ways.append(f'<way id="{way_id}" version="1">{refs_said}{said}</way>')
        return self

    def cut_way(self, way_id: int) -> Extract:
        """A building of which the extract has no node."""
        refs = "".join(f'<nd ref="{ref}"/>' for ref in (90_001, 90_002, 90_003, 90_001))
        tags = _tags({"building": "yes"})
        self._ways.append(f'<way id="{way_id}" version="1">{refs}{tags}</way>')
        return self

    def relation(self, relation_id: int, members: list[tuple[int, str]]) -> Extract:
        """A building of several ways, (id, outer or inner) each."""
        said = "".join(f'<member type="way" ref="{ref}" role="{role}"/>' for ref, role in members)
        tags = _tags({"type": "multipolygon", "building": "retail"})
        self._relations.append(f'<relation id="{relation_id}" version="1">{said}{tags}</relation>')
        return self

    def save(self, path: Path) -> Path:
        """The file."""
        body = "".join(self._nodes + self._ways + self._relations)
        path.write_text(f'<osm version="0.6">{body}</osm>', encoding="utf-8")
        return path

    def _node(self, corner: tuple[float, float]) -> int:
        lon, lat = spot(*corner)
        ref = len(self._nodes) + 1
        self._nodes.append(f'<node id="{ref}" version="1" lat="{lat:.7f}" lon="{lon:.7f}"/>')
        return ref


def _tags(tags: dict[str, str]) -> str:
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
