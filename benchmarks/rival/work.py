"""The seeded workload as both engines get it, and what is true of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from workload import STEP_MS, trace, trace_lines, write_catalogue, zones

from geoengine.core.columns import Fixes
from geoengine.core.places.zones import Zones

from . import ours
from .oracle import set_difference
from .told import Told


@dataclass(frozen=True)
class Work:
    """What both engines are given, and what is true of it."""

    zones: Zones
    fixes: Fixes
    config: Path
    on_sphere: Told
    on_ellipsoid: Told
    replayed: Told


def prepare(zone_count: int, device_count: int, fix_count: int, seed: int, directory: Path) -> Work:
    """Make the workload and ask the oracles."""
    made = zones(zone_count, seed)
    # Both are given the places that a catalogue holds, to a tenth of a metre.
    made = replace(made, lat_deg=made.lat_deg.round(6), lon_deg=made.lon_deg.round(6))
    write_catalogue(made, directory / "config")
    fixes = trace(made, device_count, fix_count, seed)
    recorded = directory / "trace.ndjson"
    with recorded.open("w", encoding="utf-8") as file:
        file.writelines(trace_lines(fixes))
    return Work(
        zones=made,
        fixes=fixes,
        config=directory / "config",
        on_sphere=set_difference(made, fixes, is_sphere=True),
        on_ellipsoid=set_difference(made, fixes, is_sphere=False),
        replayed=ours.replayed(directory / "config", recorded),
    )


def fresh(fixes: Fixes) -> Fixes:
    """The same fixes, the last of them a moment ago: we judge how old a fix is, Tile38 does not."""
    shift_ms = int(time.time() * 1_000) - STEP_MS - int(fixes.fix_ms.max())
    fix_ms = fixes.fix_ms + shift_ms
    return replace(fixes, fix_ms=fix_ms, recv_ms=fix_ms)
