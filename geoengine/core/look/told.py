"""What phones' own geofencing says with their fixes, of zones that there are.

Of places in a store it says nothing: they watch circles of a hundred metres and more, and a circle
around a shop is not the shop.
"""

from __future__ import annotations

from geoengine.core.book import Book
from geoengine.core.columns import Fixes

NOTHING: dict[int, bool] = {}


def zones_told(fixes: Fixes, row: int, book: Book) -> dict[int, bool]:
    """Whether the phone says that it is inside, by zone."""
    if not fixes.told:
        return NOTHING
    places = book.zones.places
    return {
        zone_ix: one.is_inside
        for one in fixes.told.get((fixes.device_ids[row], int(fixes.fix_ms[row])), ())
        if (zone_ix := book.zone_ix_of.get(one.zone_id, -1)) >= 0 and zone_ix not in places
    }


def rows_told(fixes: Fixes) -> list[int]:
    """The rows with which a phone says more than where it is."""
    if not fixes.told:
        return []
    keys = zip(fixes.device_ids, fixes.fix_ms.tolist(), strict=True)
    return [row for row, key in enumerate(keys) if key in fixes.told]
