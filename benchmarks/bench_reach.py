"""How well circles stand for real isochrones, and how well a router's simplified answer does.

    python benchmarks/bench_reach.py [--router EXTRACT.osm.pbf ...]
    python benchmarks/bench_reach.py --calibrate EXTRACT.osm.pbf ... [--out FILE]

The first prints, for the five-minute isochrones of ``../shared`` and for those measured before
(``results/reach.json``), intersection over union with: the naive circle (speed times minutes), the
product's circle, the best single circle, the circle of each isochrone's own area; with ``--router``
also the isochrone that `geoengine.roads` computes from those extracts. The second measures anew:
it asks for the isochrones towards the shops and villages of the extracts, some minutes long, and
needs an embedded Valhalla (`docs/roads.md`).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from isochrones import Key, Place, Reached, asked_of, common, measured, read_shared
from revision import commit

from geoengine.catalog.reach.circle import MODE_OF, reach
from geoengine.core.model import Decided, Mode, Reach

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results"
PROFILES = RESULTS / "reach.json"
MODES: tuple[Mode, ...] = ("walk", "bike", "drive")
MINUTES = (3.0, 5.0, 8.0, 10.0, 15.0)
SETTINGS: tuple[Decided, ...] = ("city", "suburb", "countryside")
NAIVE_M_PER_MINUTE: dict[Mode, float] = {"walk": 78.0, "bike": 250.0, "drive": 833.3}  # no detour
RADII_M = np.geomspace(50.0, 12_000.0, 400)
BARS: dict[Mode, float] = {"walk": 0.63, "drive": 0.40}
ROUTER_BAR = 0.95
KEPT_MINUTES = 5.0


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is committed of an isochrone: no outline, no place, only sizes."""

    extract: str
    setting: Decided
    mode: Mode
    area_km2: float
    profile_m: list[int]


def fitted_m(one: Reached) -> float:
    """The product's circle for a place."""
    spec = Reach(mode=one.mode, minutes=one.minutes)
    return reach(spec, one.place.setting).radius_m


def naive_m(one: Reached) -> float:
    """Speed times minutes, as if all streets led straight away."""
    return NAIVE_M_PER_MINUTE[one.mode] * one.minutes


def best_single_m(found: list[Reached]) -> float:
    """The radius that has the highest median of all, were one to be used for all."""
    return float(RADII_M[np.median([one.iou(RADII_M) for one in found], axis=0).argmax()])


def recalling_m(one: Reached) -> float:
    """The radius that holds nine tenths of the isochrone."""
    return float(np.interp(0.9, one.covered(RADII_M), RADII_M))


class Judged(NamedTuple):
    """Intersection over union of circles with the isochrones of one group, each of shape (N,)."""

    naive: list[float]
    fitted: list[float]
    single: list[float]
    own: list[float]

    @classmethod
    def of(cls, found: list[Reached]) -> Judged:
        single_m = best_single_m(found)
        radii = [(naive_m(one), fitted_m(one), single_m, one.own_m) for one in found]
        ious = [one.iou(np.array(row)) for one, row in zip(found, radii, strict=True)]
        return cls(*np.array(ious).T.tolist())

    def medians(self) -> list[str]:
        return [f"{np.median(column):.2f}" for column in self]


def row(*cells: object) -> str:
    """A line of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def quartiles(values: list[float], digits: int = 0) -> str:
    """Lower quartile, median and upper quartile."""
    return " / ".join(f"{one:,.{digits}f}" for one in np.percentile(values, [25, 50, 75]))


def bars(found: list[Reached], title: str) -> Iterator[str]:
    """Medians of all places, a row a mode, beside what was asked."""
    yield f"## {title}"
    yield ""
    yield row("mode", "places", "naive", "fitted", "best single", "its radius", "own area", "bar")
    yield row(*["---"] * 8)
    for mode in MODES:
        mine = [one for one in found if one.mode == mode]
        if mine:
            naive, fitted, single, own = Judged.of(mine).medians()
            bar = f"{BARS[mode]:.2f}" if mode in BARS else ""
            single_m = f"{best_single_m(mine):,.0f} m"
            yield row(mode, len(mine), naive, fitted, single, single_m, own, bar)
    yield ""


def each(found: list[Reached], routed: dict[Key, float]) -> Iterator[str]:
    """Every place of the shared file."""
    heads = ["place", "mode", "setting", "own area, m", "fitted, m", "naive", "fitted", "own"]
    yield row(*heads, "router")
    yield row(*["---"] * 9)
    for one in found:
        radii = np.array([naive_m(one), fitted_m(one), one.own_m])
        ious = [f"{iou:.2f}" for iou in one.iou(radii)]
        sizes = [f"{one.own_m:,.0f}", f"{fitted_m(one):,.0f}"]
        router = f"{routed[one.key]:.3f}" if one.key in routed else ""
        yield row(one.place.name, one.mode, one.place.setting, *sizes, *ious, router)
    yield ""


def by_setting(found: list[Reached]) -> Iterator[str]:
    """What is fitted, and the error that remains: a row a mode, setting and minutes."""
    heads = ["mode", "setting", "minutes", "places", "of their area, m", "of 90 % of it, m"]
    heads += ["circle, m", "IoU", "isochrone missed", "circle outside", "IoU of own area"]
    yield row(*heads)
    yield row(*["---"] * len(heads))
    groups = {(one.mode, one.place.setting, one.minutes): 0 for one in found}
    for mode, setting, minutes in sorted(groups, key=lambda key: _order(*key)):
        wanted = (mode, setting, minutes)
        mine = [one for one in found if (one.mode, one.place.setting, one.minutes) == wanted]
        yield row(mode, setting, f"{minutes:g}", *_errors(mine))
    yield ""


def _order(mode: Mode, setting: Decided, minutes: float) -> tuple[int, int, float]:
    return MODES.index(mode), SETTINGS.index(setting), minutes


def _errors(mine: list[Reached]) -> list[object]:
    radius_m = fitted_m(mine[0])
    covered = [float(one.covered(radius_m)) for one in mine]
    outside = [
        1 - share * one.area_m2 / (np.pi * radius_m**2)
        for one, share in zip(mine, covered, strict=True)
    ]
    return [
        len(mine),
        quartiles([one.own_m for one in mine]),
        quartiles([recalling_m(one) for one in mine]),
        f"{radius_m:,.0f}",
        quartiles([float(one.iou(radius_m)) for one in mine], 2),
        f"{1 - np.median(covered):.0%}",
        f"{np.median(outside):.0%}",
        f"{np.median([float(one.iou(one.own_m)) for one in mine]):.2f}",
    ]


def routed(extracts: list[Path], shared: list[tuple[Reached, object]]) -> dict[Key, float]:
    """What the product's own isochrones have in common with the shared ones."""
    found: dict[Key, float] = {}
    for extract in extracts:
        name = extract.name.removesuffix(".osm.pbf")
        mine = [(one, area) for one, area in shared if one.place.extract == name]
        answers = asked_of(extract, [one.key for one, _ in mine])
        for one, area in mine:
            answer = answers.get(one.key)
            found[one.key] = common(answer.area, area) if answer else 0.0
    return found


def keep(found: list[Reached], path: Path) -> None:
    """Commit to a file what later runs need of the five-minute isochrones."""
    rows = [
        Kept(
            one.place.extract,
            one.place.setting,
            one.mode,
            round(one.area_m2 / 1e6, 4),
            [round(at_m) for at_m in one.profile_m.tolist()],
        )
        for one in found
        if one.minutes == KEPT_MINUTES
    ]
    lines = b",\n".join(msgspec.json.encode(kept) for kept in rows)
    path.write_bytes(b"[\n" + lines + b"\n]\n")


def read_kept(path: Path) -> list[Reached]:
    """What `keep` wrote."""
    rows = msgspec.json.decode(path.read_bytes(), type=list[Kept])
    return [
        Reached(
            Place(kept.extract, "", np.nan, np.nan, kept.setting),
            kept.mode,
            KEPT_MINUTES,
            kept.area_km2 * 1e6,
            np.array(kept.profile_m, float),
        )
        for kept in rows
    ]


def about() -> str:
    """When, where, what and how."""
    command = " ".join(["python", "benchmarks/bench_reach.py", *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, CPython {platform.python_version()}. `{command}`"
    )


def calibrate(extracts: list[Path], out: Path) -> None:
    """Measure anew, and write the page and the file that later runs read."""
    found = [one for extract in extracts for one in measured(extract, MODES, MINUTES)]
    keep(found, PROFILES)
    five = [one for one in found if one.minutes == KEPT_MINUTES]
    defaults = [one for one in five if one.mode == MODE_OF[one.place.setting]]
    lines = ["# Circles beside isochrones", "", about(), "", NOTES]
    lines += [*bars(five, "Five minutes, all places, by mode"), "## By setting and minutes", ""]
    lines += [*by_setting(found), *bars(defaults, "Five minutes, the mode of each setting")]
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print("\n".join(lines))


def show(extracts: list[Path]) -> None:
    """Print the bars on the shared isochrones and on those measured before."""
    path = SHARED / "isochrones" / "valhalla_5min.geojson"
    found: list[Reached] = []
    if path.exists():
        shared = read_shared(path)
        found = [one for one, _ in shared]
        ious = routed(extracts, shared)
        print("\n".join(bars(found, f"The isochrones of {path.name}")))
        print("\n".join(each(found, ious)))
        for mode in MODES:
            mine = [iou for (_, by, _), iou in ious.items() if by == mode]
            if mine:
                print(f"router, {mode}: median {np.median(mine):.3f}, bar {ROUTER_BAR}\n")
    else:
        print(f"{path} is not there: its places are left out\n")
    kept = read_kept(PROFILES)
    print("\n".join(bars(kept, f"{PROFILES.name}: measured before")))
    if found:
        print("\n".join(bars([*found, *kept], "All of them together")))


NOTES = """\
Isochrones *towards* shops, cafes, villages and hamlets, as the product gets them from Valhalla
(`geoengine/roads`). Settings here are those of the degree of urbanisation by people within 2 km:
city from 1,500 a square kilometre, suburb from 300. Where three numbers stand, they are quartiles.
Best single: the one radius with the highest median for that mode. The extracts are some 10 km
across and end at borders: most drives of eight minutes and more, and many of five, would be larger
if the roads went on, and to leave them out would leave out the large ones.
"""


def main() -> None:
    """Print, or measure anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--router", type=Path, nargs="+", default=[], metavar="EXTRACT")
    parser.add_argument("--calibrate", type=Path, nargs="+", metavar="EXTRACT")
    parser.add_argument("--out", type=Path, default=RESULTS / "reach.md")
    asked = parser.parse_args()
    if asked.calibrate:
        calibrate(asked.calibrate, asked.out)
    else:
        show(asked.router)


if __name__ == "__main__":
    main()
