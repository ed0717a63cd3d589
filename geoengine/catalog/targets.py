"""Which zones a campaign is about: the names it may use, and the zones they lead to.

`Book` asks the same question one zone at a time; here it is asked of all zones at once, so that a
campaign over a million of them is checked as fast as one over ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from geoengine.catalog.report import Items, suggestion
from geoengine.catalog.stores import Shops
from geoengine.catalog.zones import Rows
from geoengine.core.model import Campaign, Store, Target, Zone


@dataclass(slots=True)
class Names:
    """Everything a target may name."""

    stores: set[str]
    tags: set[str]
    zones: set[str]
    places: set[str]


def names_of(stores: Items[Store], zones: Items[Zone]) -> Names:
    """All names written, also of stores and zones that have a fault of their own."""
    found = Names(set(), set(), set(), set())
    for store in stores.values:
        found.stores.add(store.id)
        found.tags.update(store.tags)
        for beacon in store.beacons:
            found.places.add(beacon.place)
            found.zones.add(f"{store.id}/{beacon.place}")
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


@dataclass(slots=True)
class Members:
    """The zones by everything a target may name, each a list of positions in order."""

    areas: Sequence[int]  # all that GPS decides
    all: Sequence[int]
    by_store: dict[str, list[int]] = field(default_factory=dict)
    by_tag: dict[str, list[int]] = field(default_factory=dict)
    by_zone: dict[str, list[int]] = field(default_factory=dict)
    by_place: dict[str, list[int]] = field(default_factory=dict)

    def of(self, target: Target) -> Sequence[int]:
        """Positions of the zones that a target means, in order."""
        given = [
            (as_list(target.stores), self.by_store),
            (target.tags, self.by_tag),
            (target.zones, self.by_zone),
            (as_list(target.place), self.by_place),
        ]
        picks = [
            {ix for name in names for ix in table.get(name, ())}
            for names, table in given
            if names is not None
        ]
        # A beacon place speaks only for campaigns that name it, or its zone.
        names_places = target.place is not None or target.zones is not None
        if not picks:
            return self.areas
        found = set.intersection(*picks)
        if not names_places:
            places = {ix for ixs in self.by_place.values() for ix in ixs}
            found -= places
        return sorted(found)


def members(rows: Rows, shops: Shops) -> Members:
    """The zones by name."""
    everything = range(len(rows.ids))
    areas = [ix for ix in everything if ix not in rows.places] if rows.places else everything
    found = Members(areas=areas, all=everything)
    for zone_ix, (zone_id, store_ix) in enumerate(zip(rows.ids, rows.store_ix, strict=True)):
        found.by_zone.setdefault(zone_id, []).append(zone_ix)
        tags = rows.tags.get(zone_ix, ())
        if store_ix >= 0:
            store = shops.stores[store_ix]
            found.by_store.setdefault(store.id, []).append(zone_ix)
            tags = (*store.tags, *tags)
        for tag in dict.fromkeys(tags):
            found.by_tag.setdefault(tag, []).append(zone_ix)
    for zone_ix, place in rows.places.items():
        found.by_place.setdefault(place, []).append(zone_ix)
    return found
