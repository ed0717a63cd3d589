"""The setting of every store of a catalogue, and what is doubtful about them."""

from __future__ import annotations

from pathlib import Path

from geoengine.catalog.density import kept
from geoengine.catalog.density.grid import Grid
from geoengine.catalog.reading.report import Items, Report
from geoengine.catalog.setting.decide import Verdict, decide
from geoengine.core.columns import Floats
from geoengine.core.errors import DataError, Fault
from geoengine.core.model import Reach, Store

# Doubts that are told one by one. A report has an end, and of a million stores thirty thousand may
# be in doubt: they would leave no room for what else is wrong.
DOUBTS_MAX = 1_000


def settings(
    items: Items[Store],
    found: list[tuple[int, Store]],
    lon_deg: Floats,
    lat_deg: Floats,
    data: Path,
) -> list[Verdict]:
    """The setting of every store found, row by row; what is doubtful goes to their report."""
    written = [store.setting for _ix, store in found]
    verdicts = decide(lon_deg, lat_deg, written, _grids(items.report, data))
    doubted = [
        (ix, f"`{store.id}`: {doubt}")
        for (ix, store), verdict in zip(found, verdicts, strict=True)
        if verdict.doubts and _depends_on_setting(store.reach) and ix not in items.left_out
        for doubt in verdict.doubts
    ]
    for ix, doubt in doubted[:DOUBTS_MAX]:
        items.doubtful(ix, doubt, "setting")
    if len(doubted) > DOUBTS_MAX:
        more = f"of {len(doubted) - DOUBTS_MAX:,} stores from here on the setting is in doubt too"
        items.doubtful(doubted[DOUBTS_MAX][0], more, "setting")
    return verdicts


def _grids(report: Report, data: Path) -> list[Grid]:
    """The density grids that were added; a damaged one is a fault of the catalogue."""
    try:
        return kept.load(data)
    except DataError as error:
        report.errors.append(Fault(str(data), 1, 1, str(error)))
        return []


def _depends_on_setting(spec: Reach) -> bool:
    """Whether another setting would be another zone."""
    return spec.radius_m is None and spec.polygon is None
