"""Which zones a campaign is about: the names it may use, and the zones they lead to.

`Book` asks the same question one zone at a time; here it is asked of all zones at once, so that a
campaign over a million of them is checked as fast as one over ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from geoengine.catalog.building.stores import Shops
from geoengine.catalog.building.zone_rows import Rows
from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.model import WHOLE_STORE, Campaign, Store, Target, Zone


@dataclass(slots=True)
class Names:
    """Everything a target may name."""

    stores: set[str]
    tags: set[str]
    zones: set[str]
    places: set[str]


def names_of(stores: Items[Store], zones: Items[Zone], heard_whole: Set[str]) -> Names:
    """All names written, also of stores and zones that have a fault of their own."""
    found = Names(set(), set(), set(), set())
    for store in stores.values:
        found.stores.add(store.id)
        found.tags.update(store.tags)
        for beacon in store.beacons:
            found.places.add(beacon.place)
            found.zones.add(f"{store.id}/{beacon.place}")
        if store.footprint is not None:
            found.places.add(store.footprint.place)
            found.zones.add(f"{store.id}/{store.footprint.place}")
        if store.id in heard_whole:
            found.places.add(WHOLE_STORE)
            found.zones.add(f"{store.id}/{WHOLE_STORE}")
    for zone in zones.values:
        found.zones.add(zone.id)
        found.tags.update(zone.tags)
    found.zones |= found.stores
    return found


def check_target(items: Items[Campaign], ix: int, target: Target, names: Names) -> None:
    """Report every store, tag, zone and place that does not exist."""
    for key, noun, known in (
        ("stores", "store", names.stores),
        ("tags", "tag", names.tags),
        ("zones", "zone", names.zones),
        ("place", "place", names.places),
    ):
        for row, word in enumerate(as_list(getattr(target, key)) or ()):
            if word not in known:
                guess = suggestion(word, known) or f": no {noun} is called that"
                items.wrong(ix, f"{noun} `{word}` does not exist{guess}", "zones", key, row)


def as_list(value: str | list[str] | None) -> list[str] | None:
    """One name or several, as a list; None where none was given."""
    return [value] if isinstance(value, str) else value


class Members:
    """The zones by everything that some campaign names, each a list of positions in order."""

    def __init__(self, rows: Rows, shops: Shops, wanted: list[Target]) -> None:
        self.areas: Sequence[int] = range(len(rows.ids))  # all that GPS decides
        if rows.places:
            self.areas = [ix for ix in self.areas if ix not in rows.places]
        self._places = rows.places
        self._by_store = _index(name for to in wanted for name in to.stores or ())
        self._by_tag = _index(name for to in wanted for name in to.tags or ())
        self._by_zone = _index(name for to in wanted for name in to.zones or ())
        self._by_place = _index(name for to in wanted for name in as_list(to.place) or ())
        self._fill(rows, shops)

    def of(self, target: Target) -> Sequence[int]:
        """Positions of the zones that a target means, in order."""
        given = [
            (target.stores, self._by_store),
            (target.tags, self._by_tag),
            (target.zones, self._by_zone),
            (as_list(target.place), self._by_place),
        ]
        picks = [
            {ix for name in names for ix in table.get(name, ())}
            for names, table in given
            if names is not None
        ]
        if not picks:
            return self.areas
        found = set.intersection(*picks)
        # A place in a store speaks only for campaigns that name it, or its zone.
        if target.place is None and target.zones is None:
            found -= self._places.keys()
        return sorted(found)

    def _fill(self, rows: Rows, shops: Shops) -> None:
        for zone_ix, (zone_id, store_ix) in enumerate(zip(rows.ids, rows.store_ix, strict=True)):
            tags = rows.tags.get(zone_ix, ())
            if zone_id in self._by_zone:
                self._by_zone[zone_id].append(zone_ix)
            if store_ix >= 0:
                store = shops.stores[store_ix]
                tags = (*store.tags, *tags)
                if store.id in self._by_store:
                    self._by_store[store.id].append(zone_ix)
            for tag in tags:
                if tag in self._by_tag:
                    self._by_tag[tag].append(zone_ix)
        for zone_ix, place in rows.places.items():
            if place in self._by_place:
                self._by_place[place].append(zone_ix)


def _index(names: Iterable[str]) -> dict[str, list[int]]:
    return {name: [] for name in names}
