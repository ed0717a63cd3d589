"""Which shops find their own building, and how many of those GPS can let people into.

    python benchmarks/bench_footprints.py EXTRACT.osm.pbf SHOPS.geojson [--out PAGE.md]

The shops are points with an OpenStreetMap id: `node/1` lies where a mapper put it; `way/1` is the
very building, so whether it is found again is known.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from revision import commit

from geoengine.catalog.building.footprints import (
    ACCURACY_ORDINARY_M,
    BESIDE_MAX_M,
    Outline,
    accuracy_needed_m,
    measured,
)
from geoengine.catalog.buildings.add import add
from geoengine.catalog.buildings.around import nearest
from geoengine.catalog.buildings.kept import FILE, load
from geoengine.catalog.buildings.outlines import Outlines, name_of
from geoengine.catalog.reading.sources import Sources
from geoengine.core.columns import Floats
from geoengine.core.places.policy import Policy

ACCURACIES_M = (5, 8, ACCURACY_ORDINARY_M, 15, 20)


def buildings_of(extract: Path) -> tuple[Outlines, float, float]:
    """The buildings of an extract, their megabytes on the disk, and seconds to take them in."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        add([extract], Path(folder), lambda *_told: None)
        took_s = time.process_time() - begin
        found = load(Path(folder), Sources())
        assert found is not None
        return found, (Path(folder) / FILE).stat().st_size / 1e6, took_s


def shops_of(path: Path) -> tuple[list[str], Floats]:
    """Ids and positions, shape (S, 2)."""
    features = json.loads(path.read_text())["features"]
    names = [str(feature.get("id")) for feature in features]
    return names, np.array([feature["geometry"]["coordinates"][:2] for feature in features])


def rows(names: list[str], at: Floats, buildings: Outlines) -> list[tuple[str, str]]:
    """What there is to say, and the figure."""
    found = nearest(at[:, 0], at[:, 1], buildings, BESIDE_MAX_M)
    has = [ix for ix, one in enumerate(found) if one is not None]
    areas = [one.area for one in found if one is not None]
    outlines: list[Outline] = [
        Outline(area, "", *measures)
        for area, measures in zip(areas, measured(areas, at[has, 0], at[has, 1]), strict=True)
    ]
    needed_m = np.array([accuracy_needed_m(outline, Policy()) for outline in outlines])
    keys = [one.key for one in found if one is not None]
    alone = sum(keys.count(key) == 1 for key in keys)
    own = [
        (name, one)
        for name, one in zip(names, found, strict=True)
        if name.startswith(("way/", "relation/")) and one is not None
    ]
    again = sum(name_of(one.key) == name for name, one in own)
    inside = sum(one.away_m == 0 for one in found if one is not None)
    radius_m = np.array([outline.radius_m for outline in outlines])
    return [
        ("shops", f"{len(names):,}"),
        (f"in a building, or within {BESIDE_MAX_M:.0f} m of one", f"{len(has):,}"),
        ("of these in it", f"{inside:,}"),
        ("of these alone in it", f"{alone:,}"),
        ("mapped as a building themselves: found that very one", f"{again} of {len(own)}"),
        ("radius of the circle of the same area: a tenth, median, nine tenths below",
         ", ".join(f"{m:.1f} m" for m in np.quantile(radius_m, [0.1, 0.5, 0.9]))),
        *[
            (f"GPS accurate to {accuracy_m:.0f} m can let people in",
             f"{np.mean(needed_m >= accuracy_m):.0%}")
            for accuracy_m in ACCURACIES_M
        ],
        ("at no accuracy that phones have", f"{np.mean(needed_m == 0):.0%}"),
    ]  # fmt: skip


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extract", type=Path)
    parser.add_argument("shops", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    buildings, size_mb, took_s = buildings_of(options.extract)
    names, at = shops_of(options.shops)
    table = [
        ("buildings of the extract", f"{len(buildings):,}"),
        ("kept, a hundred thousand of them", f"{size_mb / len(buildings) * 1e5:.1f} MB"),
        ("taken in, a hundred thousand, processor time", f"{took_s / len(buildings) * 1e5:.1f} s"),
        *rows(names, at, buildings),
    ]
    page = (
        "# The shops' own outlines\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}. `python benchmarks/"
        f"bench_footprints.py {options.extract.name} {options.shops.name}`\n\n| | |\n|---|---:|\n"
    ) + "".join(f"| {what} | {figure} |\n" for what, figure in table)
    print(page)
    if options.out:
        options.out.write_text(page)


if __name__ == "__main__":
    main()
