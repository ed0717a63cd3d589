"""Our zones made into regions of a phone's own geofencing, put into the answers that clients read.

Only the making: when an answer is worth its bytes is the service's to say. A phone asked to watch
a region tells of it by the region's key, which is made of the zone's id, so that nothing has to be
remembered to know the zone again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

import msgspec

from geoengine.core.places.regions import Advice, Region
from geoengine.core.units import MINUTE_MS
from geoengine.ingest.clients.sealing import sealed
from geoengine.ingest.reports import Json, Telling

Platform = Literal["ios", "android"]

# iOS watches 20 regions for an app, and the phone's owner may have some; Android watches 100, and
# OwnTracks there keeps those of past answers.
REGIONS_MAX: Final[dict[Platform, int]] = {"ios": 15, "android": 50}
# Keys of Android regions are times in seconds, unique on a phone: from 2001 on, where every program
# takes them for seconds, to 2033, where they still fit 31 bits.
_KEY_MIN: Final = 1_000_000_000
_KEYS: Final = 1_000_000_000
_NOWHERE_DEG: Final = -999.0  # iOS forgets a region whose new place cannot be
_STAY_MS: Final = 2 * MINUTE_MS  # in a region before it is a dwell: `dwell_s` of the engine
_SPECIAL: Final = "|+-"  # OwnTracks on iOS: a name that begins so is of another kind of region


def platform_of(headers: Mapping[str, str]) -> Platform | None:
    """Which OwnTracks sent a request; None if its headers, names in lower case, do not say.

    >>> platform_of({"user-agent": "Owntracks-Android/gms/420504000"})
    'android'
    """
    agent = headers.get("user-agent", "").lower()
    if "android" in agent:
        return "android"
    return "ios" if "darwin" in agent or "cfnetwork" in agent else None


def owntracks_answer(
    advice: Advice | None,
    platform: Platform | None = None,
    *,
    gone: Collection[str] = (),
    passphrase: str = "",
) -> bytes:
    """The answer to a message over HTTP: an array with one command, or none.

    Parameters as for `owntracks_command`.
    """
    command = owntracks_command(advice, platform, gone=gone, passphrase=passphrase)
    return msgspec.json.encode([] if command is None else [command])


def owntracks_command(
    advice: Advice | None,
    platform: Platform | None = None,
    *,
    gone: Collection[str] = (),
    passphrase: str = "",
) -> Json | None:
    """The command that has a phone watch the nearest regions, which over MQTT goes to ``…/cmd``.

    Parameters
    ----------
    advice : Advice, optional
        None says that nothing has changed since the last answer.
    platform : "ios" or "android", optional
        Unknown gets what both understand.
    gone : zone ids
        Advised earlier and no longer. iOS is told to forget them. Android cannot forget one region
        without all others, the owner's among them: there they stay, and are still our zones.
    passphrase : str
        Of a phone that encrypts: the command is put into a box.

    Returns
    -------
    dict or None
        None if there is nothing to say.
    """
    regions = [] if advice is None else _distinct(advice.regions)[: REGIONS_MAX[platform or "ios"]]
    waypoints = [_waypoint(region) for region in regions]
    if platform != "android":
        kept = {region.zone_id for region in regions}
        waypoints += [_forgotten(zone_id) for zone_id in gone if zone_id not in kept]
    if not waypoints:
        return None
    command = {
        "_type": "cmd",
        "action": "setWaypoints",
        "waypoints": {"_type": "waypoints", "waypoints": waypoints},
    }
    if not passphrase:
        return command
    return {"_type": "encrypted", "data": sealed(msgspec.json.encode(command), passphrase)}


def _distinct(regions: Iterable[Region]) -> list[Region]:
    """Nearest first, less those whose key a nearer one has: the phone would keep the last only."""
    first: dict[int, Region] = {}
    for region in regions:
        first.setdefault(android_key(region.zone_id), region)
    return list(first.values())


def _waypoint(region: Region) -> Json:
    """One region for either platform. Android refuses a whole answer for a radius that is no whole
    number.
    """
    return {
        "_type": "waypoint",
        "desc": _plain(region.name) or _plain(region.zone_id) or "store",
        "lat": region.lat,
        "lon": region.lon,
        "rad": math.ceil(region.radius_m),
        "tst": android_key(region.zone_id),
        "rid": region.zone_id,
    }


def _forgotten(zone_id: str) -> Json:
    nowhere = {"lat": _NOWHERE_DEG, "lon": _NOWHERE_DEG, "rad": 0}
    key = {"tst": android_key(zone_id), "rid": zone_id}
    return {"_type": "waypoint", "desc": _plain(zone_id) or "store", **nowhere, **key}


def _plain(name: str) -> str:
    """A name without what OwnTracks on iOS reads as more than a name."""
    return " ".join(name.replace(":", " ").split()).lstrip(_SPECIAL + " ")


def android_key(zone_id: str) -> int:
    """What OwnTracks on Android knows a zone's region by: always the same for a zone.

    >>> android_key("rivoli") == android_key("rivoli") != android_key("bastille")
    True
    """
    digest = hashlib.blake2b(zone_id.encode(errors="replace"), digest_size=8).digest()
    return _KEY_MIN + int.from_bytes(digest) % _KEYS


def bgeo_answer(advice: Advice | None, *, gone: Collection[str] = ()) -> bytes:
    """The answer to transistorsoft's engine, which takes commands from it: forget some regions,
    watch others. It swaps regions in and out of the system's few by itself.

    Parameters as for `owntracks_command`.
    """
    regions = [] if advice is None else advice.regions
    kept = {region.zone_id for region in regions}
    commands: list[list[object]] = []
    if left := [zone_id for zone_id in gone if zone_id not in kept]:
        commands.append(["removeGeofences", left])
    if regions:
        commands.append(["addGeofences", [_geofence(region) for region in regions]])
    return msgspec.json.encode({"background_geolocation": commands} if commands else {})


def _geofence(region: Region) -> Json:
    return {
        "identifier": region.zone_id,
        "latitude": region.lat,
        "longitude": region.lon,
        "radius": math.ceil(region.radius_m),
        "notifyOnEntry": True,
        "notifyOnExit": True,
        "notifyOnDwell": True,
        "loiteringDelay": _STAY_MS,
    }


def zone_of(telling: Telling, zone_ids: Collection[str]) -> str | None:
    """The zone among these whose region, pushed by us, a phone tells of; None for its owner's own.

    Give the ids of the zones near the telling: a region of Android is looked for among all of them.
    """
    region_id = telling.region_id
    if region_id is None or region_id in zone_ids:
        return region_id
    if not (region_id.isascii() and region_id.isdecimal() and len(region_id) <= len(str(_KEYS))):
        return None
    key = int(region_id)
    return next((zone_id for zone_id in zone_ids if android_key(zone_id) == key), None)
