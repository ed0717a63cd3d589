"""What the crowd knows of the service it loads, and what its members know of each other."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from geoengine.catalog import read

from .walks import Place

PATIENCE_S = 60.0
REDEMPTIONS = "/v1/redemptions"
MEMBERS_MAX = 100_000  # of each queue: a crowd that nobody welcomes is forgotten, not hoarded

Beacon = tuple[str, int, int]  # uuid, major, minor


class WorldError(Exception):
    """The service cannot be loaded as it is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A store as the service tells it, with the beacons that the catalogue gives it."""

    id: str
    place: Place
    setting: str
    beacons: tuple[Beacon, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A gateway in a store."""

    id: str
    store_id: str


@dataclass
class World:
    """The service's stores, keys, boxes; and the rosters that people, tags and coupons stand in."""

    shops: list[Shop]
    boxes: list[Box]
    has_redemptions: bool
    ingest: str  # where pings and sightings go, if not to the host of everything else
    keys: Mapping[str, str]  # app, server, gateway and `gateway STORE` -> key
    run: str = field(default_factory=lambda: secrets.token_hex(4))  # no run meets another's devices
    newcomers: deque[str] = field(default_factory=lambda: deque(maxlen=MEMBERS_MAX))
    members: list[str] = field(default_factory=list)  # people whom the CRM has welcomed
    tags: deque[Beacon] = field(default_factory=lambda: deque(maxlen=MEMBERS_MAX))  # at large
    coupons: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=MEMBERS_MAX))

    def __post_init__(self) -> None:
        self._turn = cycle(self.boxes)

    def next_box(self) -> Box:
        """The boxes in turn."""
        return next(self._turn)

    def bearer(self, kind: str, store_id: str = "") -> dict[str, str]:
        """The header of a caller of this kind; empty where the service asks for no key."""
        key = self.keys.get(f"{kind} {store_id}", self.keys.get(kind, ""))
        return {"Authorization": f"Bearer {key}"} if key else {}


def keys_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The first key of each kind, and each store's own, from the service's own variables.

    >>> keys_of({"GEOENGINE_GATEWAY_KEYS": "rivoli=abc,def", "GEOENGINE_APP_KEYS": "ghi"})
    {'app': 'ghi', 'gateway rivoli': 'abc', 'gateway': 'def'}
    """
    keys: dict[str, str] = {}
    for kind in ("app", "gateway", "server"):
        for text in environ.get(f"GEOENGINE_{kind.upper()}_KEYS", "").split(","):
            store_id, is_bound, key = text.strip().partition("=")
            if kind == "gateway" and is_bound and key.strip("="):
                keys.setdefault(f"gateway {store_id}", key)
            elif text.strip():
                keys.setdefault(kind, text.strip())
    return keys


def discover(
    host: str, environ: Mapping[str, str], catalogue: str, box_count: int, ingest: str = ""
) -> World:
    """Ask the service for its stores and its contract; beacons and gateways stand in a catalogue.

    Raises `WorldError` where the service does not answer, wants another key, or has no store.
    """
    keys = keys_of(environ)
    stores = _get(host, "/v1/stores", keys)
    beacons, boxes = _catalogued(catalogue) if catalogue else ({}, [])
    shops = [_shop(feature, beacons) for feature in stores["features"]]
    if not shops:
        raise WorldError(f"{host} has no store to walk to")
    strangers = [Box(f"box-{number}", "") for number in range(max(box_count, 1))]
    has_redemptions = REDEMPTIONS in _get(host, "/openapi.json", keys)["paths"]
    return World(shops, boxes or strangers, has_redemptions, ingest, keys)


def _shop(feature: Mapping[str, Any], beacons: Mapping[str, tuple[Beacon, ...]]) -> Shop:
    lon_deg, lat_deg = feature["geometry"]["coordinates"]
    known = feature["properties"]
    setting = known["setting"] if known["setting"] == "countryside" else "city"
    return Shop(known["id"], Place(lat_deg, lon_deg), setting, beacons.get(known["id"], ()))


def _catalogued(directory: str) -> tuple[dict[str, tuple[Beacon, ...]], list[Box]]:
    book = read(Path(directory)).book
    beacons = {
        store.id: tuple((beacon.uuid, beacon.major, beacon.minor) for beacon in store.beacons)
        for store in book.stores
    }
    return beacons, [Box(gateway.id, gateway.store) for gateway in book.gateways.values()]


def _get(host: str, path: str, keys: Mapping[str, str]) -> Any:
    key = keys.get("server", "")
    request = Request(host + path, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)
    except (URLError, OSError, ValueError) as error:
        raise WorldError(
            f"{host}{path}: {error}. Is it up, and is GEOENGINE_SERVER_KEYS here what it is there?"
        ) from None
