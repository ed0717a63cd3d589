"""What everybody does who loads the service: post, count what comes of it, ask."""

from __future__ import annotations

import json
import random
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser

from .tally import Tally
from .world import Beacon, World


class Sender(FastHttpUser):
    """Somebody who posts rows and counts what comes of them."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 30.0

    tally: ClassVar[Tally] = Tally()
    world: ClassVar[World]  # what is known of the service, once a run starts

    def post_rows(self, kind: str, rows: list[Any], headers: dict[str, str]) -> Any:
        """Post pings or sightings; the answer, or None when they were not taken in."""
        # Locust kills who waits when a run ends; who woke at that moment dies here, not halfway.
        gevent.sleep(0)
        self.tally.sent(kind, len(rows))
        path, body = f"/v1/{kind}", self.encoded(rows)
        try:
            with self.client.post(
                self.world.ingest + path, name=path, data=body, headers=headers, catch_response=True
            ) as answer:
                return self._heard(kind, len(rows), answer)
        except gevent.GreenletExit:
            self.tally.lost(kind, len(rows))
            raise

    def _heard(self, kind: str, row_count: int, answer: Any) -> Any:
        if not answer.status_code:
            self.tally.lost(kind, row_count)
            return None
        if answer.status_code != 200:
            self.tally.refused(kind, row_count, answer.content)
            return None
        told = answer.json()
        self.tally.taken(kind, told)
        return told

    def encoded(self, rows: list[Any]) -> bytes:
        """The body of a post."""
        return json.dumps(rows).encode()

    def ask(self, method: str, path: str, name: str, body: Any = None) -> bool:
        """A CRM's or a till's request; whether it was answered well."""
        with self.client.request(
            method,
            path,
            name=name,
            data=None if body is None else json.dumps(body).encode(),
            headers=self.world.bearer("server"),
            catch_response=True,
        ) as answer:
            if answer.status_code >= 400:
                self.tally.problem(answer.content)
            return bool(200 <= answer.status_code < 300)


def sighting(beacon: Beacon, at_s: float, **heard_by: str) -> dict[str, Any]:
    """A beacon heard once, as loud as a few metres away."""
    uuid, major, minor = beacon
    return {
        "uuid": uuid, "major": major, "minor": minor,
        "rssi_dbm": round(random.gauss(-68, 4)), "tx_power_dbm": -59,
        "seen_time": round(at_s, 3), **heard_by,
    }  # fmt: skip
