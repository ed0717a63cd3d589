"""A gateway: a box in a store that hears the tags people carry."""

from __future__ import annotations

import random
import time

import gevent
from locust import constant_pacing, task

from .sender import Sender, sighting
from .world import Beacon


class Gateway(Sender):
    """A box in a store: every second it posts the tags it has heard."""

    wait_time = constant_pacing(1.0)

    STRANGER = "b9407f30-f5f8-466e-aff9-25556b57fe6d"
    COME_SHARE, STAY_S = 0.15, (20, 90)  # somebody comes in this share of the seconds; stays

    def on_start(self) -> None:
        """Nobody is in the store yet."""
        gevent.sleep(random.random())  # boxes are not in step
        self.box = self.world.next_box()
        self.visitors: list[tuple[Beacon, float, bool]] = []  # tag, when it leaves, whether known

    @task
    def listen(self) -> None:
        """What was heard in this second."""
        now_s = time.time()
        self._let_out(now_s)
        if random.random() < self.COME_SHARE or not self.visitors:
            self._let_in(now_s)
        heard = [sighting(tag, now_s, gateway_id=self.box.id) for tag, _, _ in self.visitors]
        self.post_rows("sightings", heard, self.world.bearer("gateway", self.box.store_id))

    def _let_in(self, now_s: float) -> None:
        is_known = bool(self.world.tags) and random.random() < 0.7
        stranger = (self.STRANGER, random.randrange(65_536), random.randrange(65_536))
        tag = self.world.tags.popleft() if is_known else stranger
        self.visitors.append((tag, now_s + random.uniform(*self.STAY_S), is_known))

    def _let_out(self, now_s: float) -> None:
        self.world.tags.extend(
            tag for tag, until_s, is_known in self.visitors if until_s <= now_s and is_known
        )
        self.visitors = [visitor for visitor in self.visitors if visitor[1] > now_s]

    def on_stop(self) -> None:
        """Everybody goes."""
        self._let_out(float("inf"))
