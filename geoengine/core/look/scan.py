"""The first half of a step, in columns: who in this batch is worth a closer look, and why.

Most fixes touch no zone and belong to nobody who stands in one. They end here, at the cost of a
row in the last-fix table; only people with evidence, or with something remembered, go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import (
    Bools,
    Crossings,
    Evidence,
    Fixes,
    Floats,
    Known,
    LastFixes,
    Longs,
    Rests,
    rows_where,
)
from geoengine.core.look.few import Handful
from geoengine.core.look.stays import Look, resting
from geoengine.core.look.told import rows_told, zones_told
from geoengine.core.look.track import ACCEPTED, LATE, SUSPECT, Track, follow
from geoengine.core.look.weigh import are_coarse, sigmas_m, z_of
from geoengine.core.match import match
from geoengine.core.places.zones import CIRCLE
from geoengine.core.units import DEGREE_M, SEGMENT_MAX_M
from geoengine.core.visiting.visits import Fix

FEW = 12  # so many fixes are looked at one by one: about what the columns cost at least

NO_EDGES: dict[int, float] = {}
NO_CROSSINGS = Crossings(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0)
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the columns gave: fixes by person for those worth a look, and the last fixes of all."""

    timelines: dict[str, list[Fix]]
    last: LastFixes | None
    rests: Rests | None
    counts: Counter[str]


def scan(
    fixes: Fixes, known: Known, book: Book, *, is_assumed: bool, now_ms: int, busy: Set[str]
) -> Scan:
    """Order, check and match the fixes of a batch.

    Fixes of people who did not agree to be located are dropped here, counted and forgotten.
    ``busy`` are the people who will be looked at whatever their fixes say.
    """
    counts: Counter[str] = Counter()
    allowed = known.is_located | (~known.has_refused if is_assumed else False)
    if not allowed.all():
        keep = rows_where(allowed)
        counts["no_consent"] = len(fixes) - len(keep)
        fixes, known = fixes.take(keep), known.take(keep)
    if not len(fixes):
        return Scan({}, None, None, counts)
    if len(fixes) <= FEW:
        few = Handful(fixes, known, book, now_ms, busy, counts)
        last, rests = few.look()
        return Scan(few.timelines, last, rests, counts)
    track = follow(fixes, known)
    late, suspect = (int((track.fate == fate).sum()) for fate in (LATE, SUSPECT))
    counts["accepted"] = len(fixes) - late - suspect
    counts["late"], counts["suspect"] = late, suspect
    seen = _Look.at(track, book, now_ms, busy, counts)
    return Scan(seen.timelines(book), track.last, seen.rests, counts)


@dataclass(frozen=True, slots=True)
class _Look:
    """The matched batch: rows are those of the track."""

    track: Track
    evidence: Evidence  # fix_ix is a row of the track
    crossings: Crossings  # segment_ix is a row of the track
    is_wanted: Bools  # rows of devices worth a closer look
    rests: Rests | None

    @classmethod
    def at(
        cls, track: Track, book: Book, now_ms: int, busy: Set[str], counts: Counter[str]
    ) -> _Look:
        fixes, known = track.fixes, track.known
        # A late fix can repair a visit, also one that an earlier post of this batch opens.
        is_asked = track.fate != SUSPECT
        found = _matched(fixes, is_asked, book)
        rows = found.fix_ix
        is_news, is_coarse = _lets_in(found, fixes.accuracy_m[rows], book)
        counts["coarse"] = int(is_coarse.sum())
        if counts["coarse"]:
            was_coarse = are_coarse(
                book.zones.radius_m[found.zone_ix], track.previous_accuracy_m[rows]
            )
            is_news |= is_coarse & ~was_coarse
        crossings = _crossings(track, book)
        is_resting, rests = resting(
            Look(track, found, is_news, crossings.segment_ix, now_ms, busy), book
        )
        is_wanted = known.has_record & is_asked & ~is_resting
        matters = rows_where(is_news & ~is_resting[rows] | is_wanted[rows])
        evidence = found.take(matters)
        is_wanted[evidence.fix_ix] = True
        is_wanted[crossings.segment_ix] = True
        is_wanted[rows_told(fixes)] = True
        return cls(track, evidence, crossings, is_wanted, rests)

    def timelines(self, book: Book) -> dict[str, list[Fix]]:
        """The fixes of the wanted people, in order within each post."""
        people: dict[str, list[Fix]] = {}
        person_ids = self.track.known.person_ids
        for row, fix in self._wanted_fixes(book):
            people.setdefault(person_ids[row], []).append(fix)
        return people

    def _wanted_fixes(self, book: Book) -> Iterator[tuple[int, Fix]]:
        """Each wanted fix with its row."""
        track, fixes = self.track, self.track.fixes
        rows = rows_where(self._spread(self.is_wanted) & (track.fate != SUSPECT))
        if not len(rows):
            return
        edges = _edges(self.evidence)
        cuts = _cuts(self.crossings)
        columns = (
            rows,
            fixes.lon_deg[rows],
            fixes.lat_deg[rows],
            fixes.accuracy_m[rows],
            fixes.fix_ms[rows],
            fixes.recv_ms[rows],
            fixes.is_mocked[rows],
            track.previous_ms[rows],
            track.previous_accuracy_m[rows],
            fixes.post_ix[rows],
            track.fate[rows] == LATE,
        )
        for row, lon, lat, accuracy, at, recv, mocked, before, was, post, late in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            yield (
                row,
                Fix(
                    device_id=fixes.device_ids[row],
                    lon_deg=lon,
                    lat_deg=lat,
                    accuracy_m=accuracy,
                    fix_ms=at,
                    recv_ms=recv,
                    is_mocked=mocked,
                    previous_ms=before,
                    previous_accuracy_m=was,
                    post_ix=post,
                    is_late=late,
                    edges=edges.get(row, NO_EDGES),
                    crossed=cuts.get(row, ()),
                    told=zones_told(fixes, row, book),
                ),
            )

    def _spread(self, is_wanted: Bools) -> Bools:
        """One wanted row makes all rows of its device wanted: later ones may throw out again."""
        device_ix = self.track.device_ix
        if len(self.track.last) == len(device_ix):
            return is_wanted
        is_wanted_device = np.zeros(len(self.track.last), bool)
        is_wanted_device[device_ix[is_wanted]] = True
        return is_wanted_device[device_ix]


def _matched(fixes: Fixes, is_asked: Bools, book: Book) -> Evidence:
    """What the fixes asked about say of zones; ``fix_ix`` is a row of ``fixes``."""
    if is_asked.all():
        return match(fixes.lon_deg, fixes.lat_deg, book.index)
    asked = rows_where(is_asked)
    found = match(fixes.lon_deg[asked], fixes.lat_deg[asked], book.index)
    return Evidence(asked[found.fix_ix].astype(np.int32), found.zone_ix, found.edge_m)


def _lets_in(found: Evidence, accuracy_m: Floats, book: Book) -> tuple[Bools, Bools]:
    """Which pairs would count towards letting somebody in; which are too coarse to. M rows."""
    zones, zone_ix = book.zones, found.zone_ix
    radius_m = zones.radius_m[zone_ix]
    is_coarse = are_coarse(radius_m, accuracy_m)
    least_z = book.limits.confirm_enter_z[zones.policy_ix[zone_ix]]
    z = z_of(found.edge_m, radius_m, sigmas_m(accuracy_m), zones.kind[zone_ix] == CIRCLE)
    return ~is_coarse & (z >= least_z), is_coarse


def _crossings(track: Track, book: Book) -> Crossings:
    """Zones that the way from the last fix cut through, both fixes fine enough to say so."""
    limits, fixes = book.limits, track.fixes
    # `way_max_m` is NaN, and compares false, where there is no fix before.
    is_way = track.way_max_m >= 0.9 * limits.cross_min_m
    is_way &= fixes.fix_ms - track.previous_ms <= limits.cross_gap_max_ms
    is_way &= track.fate == ACCEPTED
    rows = rows_where(is_way)
    rows = rows[_is_segment(track, rows, limits.cross_min_m)]
    if not len(rows):
        return NO_CROSSINGS
    found = book.index.crossings(
        track.previous_lon_deg[rows],
        track.previous_lat_deg[rows],
        fixes.lon_deg[rows],
        fixes.lat_deg[rows],
        limits.cross_min_m,
    )
    if not len(found):
        return NO_CROSSINGS
    at = rows[found.segment_ix]
    worst = np.maximum(fixes.accuracy_m[at], track.previous_accuracy_m[at])
    deep_m = limits.cross_m[book.zones.policy_ix[found.zone_ix]]
    is_fine = ~are_coarse(book.zones.radius_m[found.zone_ix], worst)
    keep = rows_where(is_fine & (found.chord_m >= deep_m))
    kept = found.take(keep)
    return replace(kept, segment_ix=at[keep].astype(np.int32))


def _is_segment(track: Track, rows: Longs, least_m: float) -> Bools:
    """Whether the way to each of these rows is long enough to cross anything, and not too long."""
    lon, lat = track.fixes.lon_deg[rows], track.fixes.lat_deg[rows]
    north_m = (lat - track.previous_lat_deg[rows]) * DEGREE_M
    east_m = (lon - track.previous_lon_deg[rows]) * DEGREE_M * np.cos(np.radians(lat))
    way_m = np.hypot(north_m, east_m)
    is_segment: Bools = (way_m >= 0.9 * least_m) & (way_m <= SEGMENT_MAX_M)
    return is_segment


def _edges(evidence: Evidence) -> dict[int, dict[int, float]]:
    """By row of the track: zone_ix to edge_m."""
    found: dict[int, dict[int, float]] = {}
    columns = (evidence.fix_ix, evidence.zone_ix, evidence.edge_m)
    for row, zone_ix, edge_m in zip(*(column.tolist() for column in columns), strict=True):
        found.setdefault(row, {})[zone_ix] = edge_m
    return found


def _cuts(crossings: Crossings) -> dict[int, tuple[tuple[int, float, float], ...]]:
    """By row of the track: zone_ix and the fractions of the way into and out of it."""
    found: dict[int, tuple[tuple[int, float, float], ...]] = {}
    columns = (crossings.segment_ix, crossings.zone_ix, crossings.into, crossings.out_of)
    for row, *cut in zip(*(column.tolist() for column in columns), strict=True):
        found[row] = (*found.get(row, ()), tuple(cut))
    return found
