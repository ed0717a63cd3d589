"""A handful of fixes looked at one by one: what `scan` says of them, without its columns.

Some hundred numpy calls cost the same for one row as for thirty. When the fixes that change nothing
have been dealt with, a batch of single pings leaves one or two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from math import cos, hypot, radians
from typing import Final, NamedTuple

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, LastFixes, Longs, Rests, Spot
from geoengine.core.look.stays import Pair, Seen, goes_on
from geoengine.core.look.told import zones_told
from geoengine.core.look.track import ACCEPTED, LATE, SUSPECT, Walker
from geoengine.core.look.weigh import is_coarse, z_inside
from geoengine.core.units import DEGREE_M, SEGMENT_MAX_M, sigma_m
from geoengine.core.visiting.visits import Fix

Cut = tuple[int, float, float]  # zone_ix, fractions of the way into and out of it
Timelines = dict[str, list[Fix]]
_FATES: Final = {ACCEPTED: "accepted", LATE: "late", SUSPECT: "suspect"}


class _Seen(NamedTuple):
    """One fix, and what the device's track and the index make of it."""

    row: int
    spot: Spot
    fate: int
    before: Spot
    pairs: list[Pair]
    cuts: tuple[Cut, ...]

    @property
    def is_news(self) -> bool:
        """Whether it is worth a look at the person's record, whatever that holds."""
        return bool(self.cuts) or any(is_news for *_, is_news in self.pairs)


@dataclass(slots=True)
class Handful:
    """A few fixes of people who agreed to be located, and what came of looking at them."""

    fixes: Fixes
    known: Known
    book: Book
    now_ms: int
    busy: Set[str]
    counts: Counter[str]
    timelines: Timelines = field(default_factory=dict)
    resting: list[tuple[int, int, int]] = field(default_factory=list)  # rows of `Rests`

    def look(self) -> tuple[LastFixes, Rests | None]:
        """Order, check and match; what each device leaves behind, and who only stays."""
        devices = self._devices()
        walkers = []
        for rows in devices:
            walkers.append(walker := Walker.of(self.known, rows[0]))
            is_strange = walker.suspect_count != 0
            seen = [self._seen(row, walker) for row in rows]
            if is_strange or not self._rests(len(walkers) - 1, seen):
                self._note(seen)
        return self._last(devices, walkers), self._told_rests()

    def _devices(self) -> list[list[int]]:
        """The rows of each device, in order of post and time."""
        fixes = self.fixes
        rows_of: dict[int, list[int]] = {}
        for row, key in enumerate(self.known.device_keys.tolist()):
            rows_of.setdefault(key, []).append(row)
        for rows in rows_of.values():
            if len(rows) > 1:
                rows.sort(key=lambda row: (fixes.post_ix[row], fixes.fix_ms[row]))
        return list(rows_of.values())

    def _seen(self, row: int, walker: Walker) -> _Seen:
        fixes, book, counts = self.fixes, self.book, self.counts
        lon_deg, lat_deg = float(fixes.lon_deg[row]), float(fixes.lat_deg[row])
        spot = Spot(lon_deg, lat_deg, float(fixes.accuracy_m[row]), int(fixes.fix_ms[row]))
        fate, before = walker.take(spot)
        counts[_FATES[fate]] += 1
        if fate == SUSPECT:
            return _Seen(row, spot, fate, before, [], ())
        found = book.index.match_one(lon_deg, lat_deg)
        pairs = [(ix, edge_m, _is_news(ix, edge_m, spot, before, book)) for ix, edge_m in found]
        counts["coarse"] += sum(is_coarse(book.radius_m(ix), spot.accuracy_m) for ix, _ in found)
        cuts = tuple(_cuts(before, spot, book)) if fate == ACCEPTED else ()
        return _Seen(row, spot, fate, before, pairs, cuts)

    def _rests(self, device: int, seen: list[_Seen]) -> bool:
        """Whether the device's only fix says that its person stays where they are; then noted."""
        known, (row, spot, fate, before, pairs, cuts) = self.known, seen[0]
        stay = int(known.stay_ix[row])
        if stay < 0 or len(seen) > 1 or fate != ACCEPTED or cuts or self._is_busy(row):
            return False
        recv_ms = int(self.fixes.recv_ms[row])
        own = Seen(spot.at_ms, recv_ms, spot.accuracy_m, before.at_ms, pairs)
        if not goes_on(known.stays, stay, own, self.now_ms, self.book):
            return False
        self.resting.append((device, max(recv_ms - spot.at_ms, 0), int(known.stays.turn[stay])))
        return True

    def _is_busy(self, row: int) -> bool:
        """Whether the row's person is looked at anyway, or another of their devices has a say."""
        known = self.known
        person_id = known.person_ids[row]
        others = (ix for ix, other in enumerate(known.person_ids) if other == person_id)
        return person_id in self.busy or any(
            known.has_record[ix] and known.stay_ix[ix] < 0 for ix in others
        )

    def _note(self, seen: list[_Seen]) -> None:
        """Put the device's fixes on its person's timeline, if there is anything to look at."""
        known, fixes, first = self.known, self.fixes, seen[0].row
        has_record = bool(known.has_record[first]) and any(own.fate != SUSPECT for own in seen)
        told = [zones_told(fixes, own.row, self.book) for own in seen]
        if not has_record and not any(own.is_news for own in seen) and not any(told):
            return
        timeline = self.timelines.setdefault(known.person_ids[first], [])
        for (row, spot, fate, before, pairs, cuts), zones in zip(seen, told, strict=True):
            if fate == SUSPECT:
                continue
            timeline.append(
                Fix(
                    device_id=fixes.device_ids[row],
                    lon_deg=spot.lon_deg,
                    lat_deg=spot.lat_deg,
                    accuracy_m=spot.accuracy_m,
                    fix_ms=spot.at_ms,
                    recv_ms=int(fixes.recv_ms[row]),
                    is_mocked=bool(fixes.is_mocked[row]),
                    previous_ms=before.at_ms,
                    previous_accuracy_m=before.accuracy_m,
                    post_ix=int(fixes.post_ix[row]),
                    is_late=fate == LATE,
                    edges={ix: edge_m for ix, edge_m, is_news in pairs if has_record or is_news},
                    crossed=cuts,
                    told=zones,
                )
            )

    def _last(self, devices: list[list[int]], walkers: list[Walker]) -> LastFixes:
        first = [rows[0] for rows in devices]
        last = LastFixes.up_to(
            [self.fixes.device_ids[row] for row in first],
            np.full(len(first), -1),
            [self.known.person_ids[row] for row in first],
        )
        last.slot_ix[:] = self.known.slot_ix[first]
        for ix, walker in enumerate(walkers):
            walker.write(last, ix)
        return last

    def _told_rests(self) -> Rests | None:
        if not self.resting:
            return None
        columns: list[Longs] = [
            np.array(column, np.int64) for column in zip(*self.resting, strict=True)
        ]
        return Rests(*columns)


def _is_news(zone_ix: int, edge_m: float, spot: Spot, before: Spot, book: Book) -> bool:
    """Whether the fix counts towards letting in, or is too coarse to, unlike the one before."""
    radius_m = book.radius_m(zone_ix)
    if is_coarse(radius_m, spot.accuracy_m):
        return not is_coarse(radius_m, before.accuracy_m)
    z = z_inside(edge_m, radius_m, sigma_m(spot.accuracy_m), book.is_circle(zone_ix))
    return z >= book.policy(zone_ix).confirm_enter_z


def _cuts(before: Spot, spot: Spot, book: Book) -> Iterator[Cut]:
    """Zones that the way from the fix before cut through, both fixes fine enough to say so."""
    limits = book.limits
    least_m = 0.9 * limits.cross_min_m
    if before.at_ms < 0 or spot.at_ms - before.at_ms > limits.cross_gap_max_ms:
        return
    north_m = (spot.lat_deg - before.lat_deg) * DEGREE_M
    east_m = (spot.lon_deg - before.lon_deg) * DEGREE_M * cos(radians(spot.lat_deg))
    if not least_m <= hypot(north_m, east_m) <= SEGMENT_MAX_M:  # also where it is not known
        return
    ends = (before.lon_deg, before.lat_deg, spot.lon_deg, spot.lat_deg)
    worst_m = max(before.accuracy_m, spot.accuracy_m)
    for zone_ix, chord_m, into, out_of in book.index.crossings_one(*ends, limits.cross_min_m):
        is_fine = not is_coarse(book.radius_m(zone_ix), worst_m)
        if is_fine and chord_m >= book.policy(zone_ix).cross_m:
            yield zone_ix, into, out_of
