"""A phone: its round, its fixes, its times without a network."""

from __future__ import annotations

import json
import os
import random
import time
from datetime import UTC, datetime
from itertools import count
from typing import Any

import gevent
from locust import task

from .sender import Sender, sighting
from .walks import SHOP_STOP, Moment, round_of

PING_EVERY_S = (30.0, 150.0)
BACKLOG_SHARE, BACKLOG_MAX = 0.15, 40  # phones that come out of the underground when a run begins
OFFLINE_SHARE, OFFLINE_PINGS = 0.05, (3, 12)  # of pings begin a time offline, so many pings long
BROKEN_SHARE = 0.003  # of pings make no sense: every fleet has such phones
SIGNED_IN_SHARE = 0.6
HEARS_SHARE = 0.7  # of phones in a shop with beacons have their Bluetooth on
POST_MAX = 500  # rows of an offline batch
_NUMBERS = count()


class Phone(Sender):
    """A device that goes its round and says where it is, unless it is offline."""

    def wait_time(self) -> float:
        """Until the next fix."""
        return random.uniform(*PING_EVERY_S) / float(self.environment.parsed_options.pace)

    def on_start(self) -> None:
        """Somebody lives near a shop; some were under ground until now."""
        # Locust starts its users once a second, all at once; phones are not in step.
        gevent.sleep(random.random())
        world = self.world
        name = f"{world.run}-{os.getpid()}-{next(_NUMBERS)}"
        self.shop = random.choice(world.shops)
        self.walk = round_of(self.shop.place, self.shop.setting, random.Random(name))
        self.device_id = f"phone-{name}"
        self.person_id = f"person-{name}" if random.random() < SIGNED_IN_SHARE else None
        self.is_ndjson = random.random() < 0.5  # one platform's library writes lines
        self.held: list[Any] = []
        self.offline_count = 0
        if self.person_id:
            world.newcomers.append(self.person_id)
        if random.random() < BACKLOG_SHARE:
            self._remember_backlog()

    @task
    def ping(self) -> None:
        """Take a fix; send it with all that waits, unless offline."""
        now_s = time.time()
        self.held.append(self._fix(now_s))
        if self.offline_count:
            self.offline_count -= 1
            return
        if random.random() < OFFLINE_SHARE:
            self.offline_count = random.randint(*OFFLINE_PINGS)
        self._send()
        self._send_heard(now_s)

    def encoded(self, rows: list[Any]) -> bytes:
        """One object, an array or lines, as the app's library does."""
        if len(rows) == 1:
            return json.dumps(rows[0]).encode()
        if self.is_ndjson:
            return "\n".join(map(json.dumps, rows)).encode()
        return json.dumps(rows).encode()

    def _send(self) -> None:
        """Post what waits; what is not taken waits for the next time, as in any app's queue."""
        rows, self.held = self.held[-POST_MAX:], []
        told = self.post_rows("pings", rows, self._headers())
        if told is None:
            self.held = rows
            return
        for event in told["events"]:
            data = event["data"]
            if event["type"] == "geoengine.trigger.fired" and data.get("coupon"):
                self.world.coupons.append((data["coupon"]["code"], data["store_id"]))

    def _send_heard(self, now_s: float) -> None:
        is_there = self.walk.at(now_s).stop_ix == SHOP_STOP
        if not (is_there and self.shop.beacons and random.random() < HEARS_SHARE):
            return
        beacon = random.choice(self.shop.beacons)
        heard = [sighting(beacon, now_s - ago_s, device_id=self.device_id) for ago_s in (2, 1, 0)]
        self.post_rows("sightings", heard, self._headers())

    def _headers(self) -> dict[str, str]:
        # Half a minute and more lies between two posts: no phone keeps a connection for that.
        return {"Connection": "close", **self.world.bearer("app")}

    def _remember_backlog(self) -> None:
        at_s = time.time()
        for _ in range(random.randint(*OFFLINE_PINGS) + random.randrange(BACKLOG_MAX)):
            at_s -= random.uniform(*PING_EVERY_S)
            self.held.append(self._fix(at_s))
        self.held.reverse()

    def _fix(self, at_s: float) -> dict[str, Any]:
        if random.random() < BROKEN_SHARE:
            return {"device_id": self.device_id, "lat": 91.0, "lon": 0.0, "fix_time": at_s}
        row = _row(self.walk.at(at_s), at_s, is_text=self.is_ndjson)
        row["device_id"] = self.device_id
        if self.person_id:
            row["person_id"] = self.person_id
        return row


def _row(moment: Moment, at_s: float, *, is_text: bool) -> dict[str, Any]:
    """A fix of somewhere near the truth: the reported radius holds 68 % of them."""
    accuracy_m = min(max(random.lognormvariate(2.3, 0.5), 3.0), 80.0)
    sigma_m = accuracy_m / 1.51
    place = moment.place.moved(random.gauss(0, sigma_m), random.gauss(0, sigma_m))
    return {
        "lat": round(place.lat_deg, 6),
        "lon": round(place.lon_deg, 6),
        "accuracy_m": round(accuracy_m, 1),
        "speed_mps": round(max(moment.speed_mps + random.gauss(0, 0.2), 0.0), 1),
        "heading_deg": round(moment.heading_deg, 1),
        "fix_time": datetime.fromtimestamp(at_s, UTC).isoformat() if is_text else round(at_s, 3),
    }
