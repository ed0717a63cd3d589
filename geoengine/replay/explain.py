"""Why: one device's evidence, fix by fix, beside what was made of it.

The evidence is worked out anew from the trace and the Book, by the same index and the same
weights; what happened is read off the events that the replay told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.columns import Fixes, Known
from geoengine.core.look.track import LATE, SUSPECT, follow
from geoengine.core.look.weigh import z_inside
from geoengine.core.match import match
from geoengine.core.places.zones import CIRCLE
from geoengine.core.record import Event
from geoengine.core.units import COARSE_SIGMAS, sigma_m

_PHI = NormalDist().cdf
_FATES = {LATE: "late", SUSPECT: "suspect: too fast"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the explanation: a fix against a zone, or a moment without a fix."""

    time: str
    zone_id: str = ""
    edge_m: float | None = None  # to the edge, negative inside
    accuracy_m: float | None = None
    p_inside: float | None = None  # for somebody inside, of the zone grown by its moat
    what: str = ""


def explain(device_id: str, fixes: Fixes, events: list[Event], book: Book) -> list[Row]:
    """The rows of one device, in order of time; ``device_id`` may also name a person.

    ``fixes`` are those of the whole trace, ``events`` all that were told.
    """
    own = [event for event in events if _is_about(event, device_id)]
    devices = {device_id} | {str(event.data.get("device_id")) for event in own}
    rows = [row for row, name in enumerate(fixes.device_ids) if name in devices]
    found = _Explained(fixes.take(np.array(rows, np.int64)), own, book)
    return list(_folded(found.rows()))


def _is_about(event: Event, name: str) -> bool:
    return name in (event.person_id, event.data.get("device_id"))


class _Explained:
    """One device's fixes, events and zones side by side."""

    def __init__(self, fixes: Fixes, events: list[Event], book: Book) -> None:
        self._fixes, self._book = fixes, book
        self._events = events
        self._inside: set[str] = set()
        self._near: dict[int, list[int]] = {}
        found = match(fixes.lon_deg, fixes.lat_deg, book.index)
        for fix_ix, zone_ix in zip(found.fix_ix.tolist(), found.zone_ix.tolist(), strict=True):
            self._near.setdefault(fix_ix, []).append(zone_ix)
        self._fate = _fates(fixes)

    def rows(self) -> Iterator[Row]:
        """Fixes and events, merged by time; events of a fix stand in its rows."""
        waiting = list(self._events)
        for fix_ix in np.argsort(self._fixes.fix_ms, kind="stable").tolist():
            at_ms = int(self._fixes.fix_ms[fix_ix])
            while waiting and waiting[0].at_ms < at_ms:
                yield self._moment(waiting.pop(0))
            now: list[Event] = []
            while waiting and waiting[0].at_ms == at_ms:
                now.append(waiting.pop(0))
            yield from self._fix(fix_ix, now)
        for event in waiting:
            yield self._moment(event)

    def _moment(self, event: Event) -> Row:
        self._note(event)
        return Row(rfc3339(event.at_ms), str(event.data.get("zone_id") or ""), what=_said(event))

    def _note(self, event: Event) -> None:
        zone_id = str(event.data.get("zone_id"))
        if event.type.endswith(".entered"):
            self._inside.add(zone_id)
        elif event.type.endswith(".exited"):
            self._inside.discard(zone_id)

    def _fix(self, fix_ix: int, now: list[Event]) -> Iterator[Row]:
        zone_of = self._book.zone_ix_of
        told = {str(event.data.get("zone_id")) for event in now}
        known = [zone_of[zone_id] for zone_id in self._inside | told if zone_id in zone_of]
        zones = sorted({*self._near.get(fix_ix, ()), *known})
        fate = _FATES.get(int(self._fate[fix_ix]), "")
        time, accuracy_m = self._time(fix_ix), float(self._fixes.accuracy_m[fix_ix])
        if not zones:
            yield Row(time, accuracy_m=accuracy_m, what=fate)
        for zone_ix in zones:
            yield self._weighed(fix_ix, zone_ix, fate, now)
        for event in now:
            self._note(event)

    def _time(self, fix_ix: int) -> str:
        return rfc3339(int(self._fixes.fix_ms[fix_ix]))

    def _weighed(self, fix_ix: int, zone_ix: int, fate: str, now: list[Event]) -> Row:
        zones, zone_id = self._book.zones, self._book.zones.ids[zone_ix]
        lon, lat = float(self._fixes.lon_deg[fix_ix]), float(self._fixes.lat_deg[fix_ix])
        accuracy_m, radius_m = float(self._fixes.accuracy_m[fix_ix]), float(zones.radius_m[zone_ix])
        edge_m, sigma = self._book.index.edge_m_one(zone_ix, lon, lat), sigma_m(accuracy_m)
        said = [_said(event) for event in now if event.data.get("zone_id") == zone_id]
        moat_m = 0.0
        if zone_id in self._inside:
            policy = self._book.policy(zone_ix)
            moat_m = max(policy.buffer_m, policy.buffer_per_accuracy * accuracy_m)
            said.append(f"inside, moat {moat_m:.0f} m")
        elif radius_m < COARSE_SIGMAS * sigma:
            said.append("too coarse to enter")
        z = z_inside(edge_m - moat_m, radius_m + moat_m, sigma, zones.kind[zone_ix] == CIRCLE)
        what = "; ".join(filter(None, [fate, *said]))
        return Row(self._time(fix_ix), zone_id, edge_m, accuracy_m, _PHI(z), what)


def _said(event: Event) -> str:
    """An event in a few words."""
    noun, _, verb = event.type.partition(".")
    data = event.data
    if noun == "trigger":
        why = f": {data.get('reason')}" if verb == "suppressed" else f" by {data.get('lever')}"
        return f"{data.get('campaign_id')} {verb}{why}"
    if verb == "exited":
        return f"{noun} exited ({data.get('reason')})"
    is_initial = verb == "entered" and data.get("initial")
    return f"{noun} {verb}" + (" (initial)" if is_initial else "")


def _fates(fixes: Fixes) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """What became of each fix of a device of whom nothing was known before."""
    count = len(fixes)
    fate = np.zeros(count, np.int32)
    if count:
        track = follow(fixes, Known.nothing(fixes.device_ids))
        fate[track.row_ix] = track.fate
    return fate


def _folded(rows: Iterator[Row]) -> Iterator[Row]:
    """Stretches of fixes near no zone as one row each."""
    stretch: list[Row] = []
    for row in rows:
        if not row.zone_id and not row.what:
            stretch.append(row)
            continue
        yield from _fold(stretch)
        stretch = []
        yield row
    yield from _fold(stretch)


def _fold(stretch: list[Row]) -> list[Row]:
    if len(stretch) < 3:
        return stretch
    return [Row(stretch[0].time, what=f"{len(stretch)} fixes in no zone until {stretch[-1].time}")]
