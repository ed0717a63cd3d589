"""One command that shows a trigger with whatever catalogue is loaded.

Somebody is 5 km away four minutes ago, then twice inside the zone of a campaign: slower than the
impossible, fresher than the stale. Times are worked out by the shell when it is pasted, and the
device is a new one each time, so that no cap of the day before spoils it.
"""

from __future__ import annotations

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.model import SYSTEM_LEVERS

METRES_PER_DEGREE = 111_320.0  # of latitude; a demonstration needs no ellipsoid
AWAY_M = 5_000.0
STORES_TRIED = 1_000  # the service is waiting; who has more stores needs no demonstration
STEPS_S = (240, 20, 10)  # seconds ago: away, inside, still inside
EVIDENCE = '{"source":"demo","text_version":"1"}'


def demo_command(book: Book, url: str, *, has_keys: bool) -> str:
    """Shell commands that make a campaign fire; empty where no campaign waits for an entry."""
    found = _easiest(book)
    if found is None:
        return ""
    zone_ix, plan = found
    zones = book.zones
    lat, lon = float(zones.lat_deg[zone_ix]), float(zones.lon_deg[zone_ix])
    away_m = max(AWAY_M, 1.5 * float(zones.radius_m[zone_ix]))
    away_lat = lat + (away_m if lat < 80 else -away_m) / METRES_PER_DEGREE
    places = [(away_lat, lon), (lat, lon), (lat, lon)]
    pings = ",".join(
        f'{{"device_id":"demo-\'$T\'","lat":{at_lat:.5f},"lon":{at_lon:.5f},'
        f'"accuracy_m":8,"fix_time":\'$((T-{ago_s}))\'}}'
        for (at_lat, at_lon), ago_s in zip(places, STEPS_S, strict=True)
    )
    lines = ["T=$(date +%s)"]
    if book.engine.spec.consent.location == "required":
        lines.append(_consent(url, "location", has_keys))
    if lever := next(iter(plan.spec.levers)) if not _is_for_systems(plan) else "":
        lines.append(_consent(url, lever, has_keys))
    lines.append(f"curl -s {_key('APP', has_keys)}{url}/v1/pings -d '[{pings}]'")
    return "\n".join(lines)


def _easiest(book: Book) -> tuple[int, CampaignPlan] | None:
    """The campaign with the fewest conditions that waits for an entry, and a zone of it."""
    for plan in sorted(book.campaigns, key=_conditions):
        if plan.spec.on != "enter":
            continue
        for store_ix in range(min(len(book.stores), STORES_TRIED)):
            for zone_ix in book.areas_of_store(store_ix):
                if plan in book.plans(zone_ix):
                    return zone_ix, plan
    return None


def _conditions(plan: CampaignPlan) -> tuple[int, int]:
    spec = plan.spec
    stops = (
        spec.window is not None,
        spec.audience is not None,
        plan.hold_out > 0,
        not spec.when_closed,
        not _is_for_systems(plan),
        bool(spec.live_from or spec.live_until),
    )
    return sum(stops), -spec.priority


def _is_for_systems(plan: CampaignPlan) -> bool:
    return any(lever in SYSTEM_LEVERS for lever in plan.spec.levers)


def _consent(url: str, purpose: str, has_keys: bool) -> str:
    path = f"{url}/v1/people/demo-$T/consents/{purpose}"
    return f"curl -s -X PUT {_key('SERVER', has_keys)}{path} -d '{EVIDENCE}'"


def _key(kind: str, has_keys: bool) -> str:
    return f'-H "Authorization: Bearer ${kind}_KEY" ' if has_keys else ""
