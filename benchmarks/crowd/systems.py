"""The retailer's systems: a CRM and its tills."""

from __future__ import annotations

import random
from typing import Any

from locust import between, task

from .sender import Sender
from .world import REDEMPTIONS


class Crm(Sender):
    """The retailer's system: welcomes people, keeps their consents, reads what was decided."""

    wait_time = between(0.05, 0.25)

    TAG = "5f2d9c1e-7b3a-4c55-9e0d-3a1b6c8d2e4f"
    TAGGED_SHARE = 0.2

    @task(6)
    def welcome(self) -> None:
        """Somebody signed in: attributes, consents, for some a tag."""
        if not self.world.newcomers:
            return
        person_id = self.world.newcomers.popleft()
        about = {
            "attributes": {
                "status": random.choice(["basic", "premium"]),
                "points": random.randrange(1_000),
            },
            "locale": random.choice(["fr", "en"]),
        }
        if self._put(person_id, about):
            self._consent("PUT", person_id, "location")
            self._consent("PUT", person_id, "push")
            self._hand_tag(person_id)
            self.world.members.append(person_id)

    @task(4)
    def read_decisions(self) -> None:
        """Why did they get it, or not?"""
        if person_id := self._somebody():
            path = f"/v1/people/{person_id}/decisions"
            self.ask("GET", path, "/v1/people/{id}/decisions")

    @task(2)
    def read_person(self) -> None:
        """What is known of somebody."""
        if person_id := self._somebody():
            self.ask("GET", f"/v1/people/{person_id}", "/v1/people/{id}")

    @task(2)
    def change_attributes(self) -> None:
        """Points were spent."""
        if person_id := self._somebody():
            self._put(person_id, {"attributes": {"points": random.randrange(1_000)}})

    @task(2)
    def withdraw(self) -> None:
        """Somebody says no, and half of them yes again; few say no to being located."""
        if person_id := self._somebody():
            purpose = "location" if random.random() < 0.05 else "push"
            self._consent("DELETE", person_id, purpose)
            if random.random() < 0.5:
                self._consent("PUT", person_id, purpose)

    def _somebody(self) -> str | None:
        return random.choice(self.world.members) if self.world.members else None

    def _put(self, person_id: str, about: dict[str, Any]) -> bool:
        return self.ask("PUT", f"/v1/people/{person_id}", "/v1/people/{id}", about)

    def _consent(self, method: str, person_id: str, purpose: str) -> None:
        path = f"/v1/people/{person_id}/consents/{purpose}"
        evidence = {"source": "load", "text_version": "1"} if method == "PUT" else None
        self.ask(method, path, "/v1/people/{id}/consents/{purpose}", evidence)

    def _hand_tag(self, person_id: str) -> None:
        if random.random() >= self.TAGGED_SHARE:
            return
        major, minor = random.randrange(65_536), random.randrange(65_536)
        if self._put(person_id, {"beacon": f"{self.TAG}:{major}:{minor}"}):
            self.world.tags.append((self.TAG, major, minor))


class Till(Sender):
    """Redeems the coupons that phones were sent; left out where the service has no such route."""

    wait_time = between(1.0, 5.0)

    @task
    def redeem(self) -> None:
        """Somebody shows a coupon."""
        if self.world.coupons:
            code, store_id = self.world.coupons.popleft()
            sale = {"code": code, "store_id": store_id, "amount": round(random.uniform(5, 200), 2)}
            self.ask("POST", REDEMPTIONS, REDEMPTIONS, sale)
