"""The first half of a step, in columns: who in this batch is worth a closer look, and why.

Most fixes touch no zone and belong to nobody who stands in one. They end here, at the cost of a
row in the last-fix table; only people with evidence, or with something remembered, go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import (
    Bools,
    Crossings,
    Evidence,
    Fixes,
    Floats,
    Ints,
    Known,
    LastFixes,
    Longs,
)
from geoengine.core.match import match
from geoengine.core.track import ACCEPTED, LATE, SUSPECT, Track, follow
from geoengine.core.units import ACCURACY_MIN_M, ACCURACY_PER_SIGMA, SECOND_MS
from geoengine.core.visits import Fix
from geoengine.core.weigh import COARSE_SIGMAS, quantile
from geoengine.core.zones import CIRCLE

DEGREE_M = 111_320.0  # of latitude, roughly: it only sorts out which ways need not be asked about
SEGMENT_MAX_M = 10_000.0  # a longer way between two fixes says nothing of what it passed


NO_EDGES: dict[int, float] = {}
NO_CROSSINGS = Crossings(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0)
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the columns gave: fixes by person for those worth a look, and the last fixes of all."""

    timelines: dict[str, list[Fix]]
    last: LastFixes | None
    counts: Counter[str]


def scan(fixes: Fixes, known: Known, book: Book, *, is_assumed: bool) -> Scan:
    """Order, check and match the fixes of a batch.

    Fixes of people who did not agree to be located are dropped here, counted and forgotten.
    """
    counts: Counter[str] = Counter()
    allowed = known.is_located | (~known.has_refused if is_assumed else False)
    if not allowed.all():
        keep = np.flatnonzero(allowed)
        counts["no_consent"] = len(fixes) - len(keep)
        fixes, known = fixes.take(keep), known.take(keep)
    if not len(fixes):
        return Scan({}, None, counts)
    track = follow(fixes, known)
    for name, fate in (("accepted", ACCEPTED), ("late", LATE), ("suspect", SUSPECT)):
        counts[name] = int(np.count_nonzero(track.fate == fate))
    look = _Look.at(fixes, known, track, book, counts)
    return Scan(look.timelines(), track.last, counts)


@dataclass(frozen=True, slots=True)
class _Look:
    """The matched batch: rows are those of the track."""

    fixes: Fixes
    known: Known
    track: Track
    evidence: Evidence  # fix_ix is a row of the track
    crossings: Crossings  # segment_ix is a row of the track
    is_wanted: Bools  # rows of people worth a closer look

    @classmethod
    def at(
        cls, fixes: Fixes, known: Known, track: Track, book: Book, counts: Counter[str]
    ) -> _Look:
        lon, lat = fixes.lon_deg[track.row_ix], fixes.lat_deg[track.row_ix]
        remembered = known.has_record[track.row_ix]
        # A late fix can repair a visit, also one that an earlier post of this batch opens.
        asked = np.flatnonzero(track.fate != SUSPECT)
        found = match(lon[asked], lat[asked], book.index)
        accuracy = fixes.accuracy_m[track.row_ix]
        rows = asked[found.fix_ix]
        lets_in, is_coarse = _lets_in(found, accuracy[rows], book)
        counts["coarse"] = int(np.count_nonzero(is_coarse))
        was_coarse = _is_coarse(found.zone_ix, track.previous_accuracy_m[rows], book)
        matters = lets_in | remembered[rows] | (is_coarse & ~was_coarse)
        evidence = Evidence(
            rows[matters].astype(np.int32), found.zone_ix[matters], found.edge_m[matters]
        )
        crossings = _crossings(track, lon, lat, accuracy, book)
        is_wanted = remembered & (track.fate != SUSPECT)
        is_wanted[evidence.fix_ix] = True
        is_wanted[crossings.segment_ix] = True
        return cls(fixes, known, track, evidence, crossings, is_wanted)

    def timelines(self) -> dict[str, list[Fix]]:
        """The fixes of the wanted people, in order within each post."""
        people: dict[str, list[Fix]] = {}
        for source, fix in self._wanted_fixes():
            people.setdefault(self.known.person_ids[source], []).append(fix)
        return people

    def _wanted_fixes(self) -> Iterator[tuple[int, Fix]]:
        """Each wanted fix with its row in the columns given."""
        rows = np.flatnonzero(self._spread(self.is_wanted) & (self.track.fate != SUSPECT))
        fixes, track, sources = self.fixes, self.track, self.track.row_ix[rows]
        edges = _edges(self.evidence)
        cuts = _cuts(self.crossings)
        columns = (
            sources,
            rows,
            fixes.lon_deg[sources],
            fixes.lat_deg[sources],
            fixes.accuracy_m[sources],
            fixes.fix_ms[sources],
            fixes.recv_ms[sources],
            fixes.is_mocked[sources],
            track.previous_ms[rows],
            track.previous_accuracy_m[rows],
            fixes.post_ix[sources],
            track.fate[rows] == LATE,
        )
        for source, row, lon, lat, accuracy, at, recv, mocked, before, was, post, late in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            yield (
                source,
                Fix(
                    device_id=fixes.device_ids[source],
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
                ),
            )

    def _spread(self, is_wanted: Bools) -> Bools:
        """One wanted row makes all rows of its device wanted: later ones may throw out again."""
        device_ix = self.track.device_ix
        is_wanted_device = np.zeros(int(device_ix.max()) + 1, bool)
        is_wanted_device[device_ix[is_wanted]] = True
        return is_wanted_device[device_ix]


def _lets_in(found: Evidence, accuracy_m: Floats, book: Book) -> tuple[Bools, Bools]:
    """Which pairs would count towards letting somebody in; which are too coarse to. M rows."""
    zones = book.zones
    sigma = _sigma_m(accuracy_m)
    radius = zones.radius_m[found.zone_ix]
    distance = radius + found.edge_m
    z_circle = (radius - np.sqrt(distance * distance + sigma * sigma)) / sigma
    z = np.where(zones.kind[found.zone_ix] == CIRCLE, z_circle, -found.edge_m / sigma)
    least = np.array([quantile(policy.confirm_enter_p) for policy in book.policies])
    is_coarse = _is_coarse(found.zone_ix, accuracy_m, book)
    return ~is_coarse & (z >= least[zones.policy_ix[found.zone_ix]]), is_coarse


def _sigma_m(accuracy_m: Floats) -> Floats:
    """`units.sigma_m`, in columns."""
    return np.maximum(accuracy_m, ACCURACY_MIN_M) / ACCURACY_PER_SIGMA


def _is_coarse(zone_ix: Ints, accuracy_m: Floats, book: Book) -> Bools:
    """Which fixes are too coarse for their zone; not those whose accuracy is NaN. M rows."""
    is_coarse: Bools = book.zones.radius_m[zone_ix] < COARSE_SIGMAS * _sigma_m(accuracy_m)
    return is_coarse


def _crossings(track: Track, lon: Floats, lat: Floats, accuracy: Floats, book: Book) -> Crossings:
    """Zones that the way from the last fix cut through, both fixes fine enough to say so."""
    gap_ms = max(policy.cross_gap_s for policy in book.policies) * SECOND_MS
    least_m = min(policy.cross_m for policy in book.policies)
    rows = np.flatnonzero(
        (track.fate == ACCEPTED)
        & (track.previous_ms >= 0)
        & (track.at_ms - track.previous_ms <= gap_ms)
    )
    rows = rows[_is_segment(track, rows, lon, lat, least_m)]
    if not len(rows):
        return NO_CROSSINGS
    found = book.index.crossings(
        track.previous_lon_deg[rows], track.previous_lat_deg[rows], lon[rows], lat[rows], least_m
    )
    at = rows[found.segment_ix]
    worst = np.maximum(accuracy[at], track.previous_accuracy_m[at])
    policy_ix = book.zones.policy_ix[found.zone_ix]
    deep = np.array([policy.cross_m for policy in book.policies])
    keep = ~_is_coarse(found.zone_ix, worst, book) & (found.chord_m >= deep[policy_ix])
    kept = found.take(np.flatnonzero(keep))
    return Crossings(at[keep].astype(np.int32), kept.zone_ix, kept.chord_m, kept.into, kept.out_of)


def _is_segment(track: Track, rows: Longs, lon: Floats, lat: Floats, least_m: float) -> Bools:
    """Whether the way to each of these rows is long enough to cross anything, and not too long."""
    north_m = (lat[rows] - track.previous_lat_deg[rows]) * DEGREE_M
    east_m = (lon[rows] - track.previous_lon_deg[rows]) * DEGREE_M * np.cos(np.radians(lat[rows]))
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
