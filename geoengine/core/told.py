"""What phones' own geofencing says with their fixes, of zones that there are."""

from __future__ import annotations

from geoengine.core.book import Book
from geoengine.core.columns import Fixes

NOTHING: dict[int, bool] = {}


def zones_told(fixes: Fixes, row: int, book: Book) -> dict[int, bool]:
    """Whether the phone says that it is inside, by zone; of places only beacons tell."""
    if not fixes.told:
        return NOTHING
    return {
        zone_ix: one.is_inside
        for one in fixes.told.get((fixes.device_ids[row], int(fixes.fix_ms[row])), ())
        if (zone_ix := book.zone_ix_of.get(one.zone_id, -1)) >= 0 and not book.is_place(zone_ix)
    }


def rows_told(fixes: Fixes) -> list[int]:
    """The rows with which a phone says more than where it is."""
    if not fixes.told:
        return []
    keys = zip(fixes.device_ids, fixes.fix_ms.tolist(), strict=True)
    return [row for row, key in enumerate(keys) if key in fixes.told]
