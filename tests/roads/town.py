"""A town on paper, as an OpenStreetMap extract: streets in a grid, a river with one bridge, a road.

Everything is counted in blocks of 100 m from the town's middle, east and north::

    rows -10 .. 10, columns -10 .. 10   streets both ways, 30 km/h
    between rows 3 and 4                a river: only column 5 has a bridge
    row 0                               one way, to the east
    from (10, -8) for 12 km             a country road to the east, 90 km/h
    (0, 30)                             a field; the nearest street is 2 km away
"""

from __future__ import annotations

from pathlib import Path

import osmium
from osmium.osm.mutable import Node, Way

LON_DEG, LAT_DEG = 10.0, 50.0
BLOCK_M = 100.0
SIDE = 10
RIVER, BRIDGE, ONE_WAY, OUT = 3, 5, 0, -8
ROAD_BLOCKS = 120

_ALONG_M = 111_229.0  # metres a degree of latitude, at 50 degrees; of longitude:
_ACROSS_M = 71_696.0


def place(east: float, north: float) -> tuple[float, float]:
    """Longitude and latitude, degrees, of so many blocks from the middle."""
    return LON_DEG + east * BLOCK_M / _ACROSS_M, LAT_DEG + north * BLOCK_M / _ALONG_M


def blocks(lon_deg: float, lat_deg: float) -> tuple[float, float]:
    """The way back."""
    east = (lon_deg - LON_DEG) * _ACROSS_M / BLOCK_M
    return east, (lat_deg - LAT_DEG) * _ALONG_M / BLOCK_M


def write(path: Path, *, box_blocks: float | None = 133.0) -> Path:
    """The extract; its header tells a box of so many blocks to each side, or none."""
    header = osmium.io.Header()
    if box_blocks is not None:
        south_west, north_east = place(-box_blocks, -box_blocks), place(box_blocks, box_blocks)
        header.add_box(osmium.osm.Box(*south_west, *north_east))
    corners = {(x, y) for x in range(-SIDE, SIDE + 1) for y in range(-SIDE, SIDE + 1)}
    corners |= {(SIDE + step, OUT) for step in range(1, ROAD_BLOCKS + 1)}
    ids = {corner: ix for ix, corner in enumerate(sorted(corners), start=1)}
    with osmium.SimpleWriter(str(path), header=header) as writer:
        for corner, ix in ids.items():
            writer.add_node(Node(id=ix, location=place(*corner), version=1))
        for ix, (line, tags) in enumerate(_ways(), start=1):
            refs = [ids[corner] for corner in line]
            writer.add_way(Way(id=ix, nodes=refs, tags=tags, version=1))
    return path


def _ways() -> list[tuple[list[tuple[int, int]], dict[str, str]]]:
    street = {"highway": "residential", "maxspeed": "30"}
    span = range(-SIDE, SIDE + 1)
    ways = []
    for y in span:
        one_way = {"oneway": "yes"} if y == ONE_WAY else {}
        ways.append(([(x, y) for x in span], {**street, **one_way, "name": f"Row {y}"}))
    for x in span:
        column = {**street, "name": f"Column {x}"}
        if x == BRIDGE:
            ways.append(([(x, y) for y in span], column))
        else:
            ways.append(([(x, y) for y in span if y <= RIVER], column))
            ways.append(([(x, y) for y in span if y > RIVER], column))
    road = {"highway": "primary", "maxspeed": "90", "name": "The road"}
    ways.append(([(SIDE + step, OUT) for step in range(ROAD_BLOCKS + 1)], road))
    return ways
