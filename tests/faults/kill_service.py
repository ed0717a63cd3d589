"""Kill the running service at random moments, and hold it to what it acknowledged.

    python -m tests.faults.kill_service --rounds 200 --seed 1

Each round starts the real service on the same state, posts walks into shops and out again, and
sends SIGKILL while posts, commits and webhooks are under way. The next start must know everything
that was acknowledged. What was not acknowledged is posted again, byte for byte, as a phone would.
A local webhook receiver, which now and then fails, keeps the log of what was sent.

Checked
-------
1. Nothing acknowledged is lost: whoever entered is inside with one fired decision, whoever left is
   not inside.
2. Nothing fires twice: each person walks in once, so there is one fired decision a person, and the
   receiver sees one distinct ``webhook-id`` a person; repeats carry the same.
3. Everything fired arrives.
4. The service starts again each time, and stops cleanly in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.service.process import Process, process
from tests.service.serving import ping, until, walk_in

LANES = 8
OUTSIDE = (48.8628, 2.3470)  # 500 m from the shop: out, and reached in ten seconds
FAIL_SHARE = 0.02  # of webhooks answered 500
KILL_AFTER_S = (0.02, 0.4)
SECRET = {"GEOENGINE_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
CATALOGUE = """
stores:
  - id: rivoli
    name: Maison Rivoli
    location: {{lat: 48.8583, lon: 2.3470}}
    setting: city
    reach: {{radius_m: 300}}
campaigns:
  - id: hello
    on: enter
    levers: [webhook]
    expires: 1h
    message: {{en: "Five minutes to {{store}}."}}
engine:
  consent: {{location: assumed}}
  webhook: {{url: "http://127.0.0.1:{port}/hook", allow_private: true}}
"""


@dataclass
class Person:
    """Somebody who walks in once, and perhaps out again."""

    name: str
    walk: list[Any]
    is_in: bool = False  # acknowledged
    exit: Any = None  # the report from outside, once sent
    is_out: bool = False  # acknowledged


@dataclass
class Campaign:
    """Everything one run knows."""

    rng: random.Random
    people: dict[str, Person] = field(default_factory=dict)
    hooks: dict[str, set[str]] = field(default_factory=dict)  # person -> webhook-ids
    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, fault: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.faults.append(fault)


@contextlib.asynccontextmanager
async def receiver(campaign: Campaign) -> AsyncIterator[int]:
    """Takes webhooks, sometimes slowly, sometimes not at all; yields its port."""

    async def take(request: web.Request) -> web.Response:
        told = await request.json()
        if campaign.rng.random() < FAIL_SHARE:
            campaign.seen["hooks refused"] += 1
            return web.Response(status=500)
        await asyncio.sleep(campaign.rng.uniform(0, 0.02))
        ids = campaign.hooks.setdefault(told["data"]["person_id"], set())
        campaign.seen["hooks repeated"] += request.headers["webhook-id"] in ids
        ids.add(request.headers["webhook-id"])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site.port
    finally:
        await runner.cleanup()


class Posting:
    """The phones of one round, and the questions asked afterwards."""

    def __init__(self, campaign: Campaign, session: aiohttp.ClientSession, url: str) -> None:
        self._campaign = campaign
        self._session = session
        self._url = url

    async def post(self, rows: Any) -> bool:
        """Whether the service acknowledged it."""
        try:
            async with self._session.post(self._url + "/v1/pings", json=rows) as reply:
                await reply.read()
                return reply.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def get(self, path: str) -> Any:
        """What the service knows."""
        async with self._session.get(self._url + path) as reply:
            return await reply.json()

    async def lane(self, lane: str) -> None:
        """Walk people in, some of them out again, until the service is gone."""
        campaign = self._campaign
        for turn in range(100_000):
            person = Person(f"{lane}-{turn}", walk_in(f"{lane}-{turn}"))
            campaign.people[person.name] = person
            if not await self.walk(person, leaves=campaign.rng.random() < 0.3):
                return

    async def walk(self, person: Person, *, leaves: bool) -> bool:
        """Post what is still to be acknowledged of a person."""
        person.is_in = person.is_in or await self.post(person.walk)
        if person.is_in and (leaves or person.exit):
            person.exit = person.exit or ping(person.name, OUTSIDE)
            person.is_out = person.is_out or await self.post(person.exit)
            return person.is_out
        return person.is_in

    async def verify(self, person: Person) -> None:
        """Hold the service to what it acknowledged of a person."""
        check = self._campaign.check
        known = await self.get(f"/v1/people/{person.name}")
        fired = [row for row in known.get("decisions", ()) if row["outcome"] == "fired"]
        inside = [stay for stay in known.get("presences", ()) if stay["inside"]]
        if person.is_in:
            check(len(fired) == 1, f"{person.name}: {len(fired)} fired, 1 was acknowledged")
        if person.is_in and not person.exit:
            check(len(inside) == 1, f"{person.name}: entered, acknowledged, and not inside")
        if person.is_out:
            check(not inside, f"{person.name}: left, acknowledged, and still inside")

    async def drain(self) -> None:
        """Wait until nothing is on its way."""

        async def is_empty() -> bool:
            return not (await self.get("/v1/outbox?status=pending&limit=1"))["sends"]

        await until(is_empty, 60)


async def one_round(campaign: Campaign, directory: Path, catalogue: str, number: int) -> None:
    """Start, hold to account, load, kill."""
    async with process(directory, SECRET, catalogue) as running, aiohttp.ClientSession() as session:
        posting = Posting(campaign, session, running.url)
        await settle(campaign, posting, f"{number - 1}-")
        lanes = [asyncio.create_task(posting.lane(f"{number}-{ix}")) for ix in range(LANES)]
        await asyncio.sleep(campaign.rng.uniform(*KILL_AFTER_S))
        running.child.send_signal(signal.SIGKILL)
        await running.child.wait()
        await asyncio.gather(*lanes)
        campaign.seen["kills"] += 1


async def settle(campaign: Campaign, posting: Posting, prefix: str) -> None:
    """Check the people of a round, post again what was not acknowledged, check once more."""
    people = [one for name, one in campaign.people.items() if name.startswith(prefix)]
    for person in people:
        await posting.verify(person)
    for person in people:
        if not person.is_in or (person.exit and not person.is_out):
            campaign.seen["posted again"] += 1
            campaign.check(await posting.walk(person, leaves=False), f"{person.name}: refused")
            await posting.verify(person)


async def last_round(campaign: Campaign, directory: Path, catalogue: str, number: int) -> None:
    """Start once more, let everything arrive, hold all of it to account, stop."""
    async with process(directory, SECRET, catalogue) as running, aiohttp.ClientSession() as session:
        posting = Posting(campaign, session, running.url)
        await settle(campaign, posting, f"{number}-")
        await posting.drain()
        for person in campaign.people.values():
            await posting.verify(person)
            ids = campaign.hooks.get(person.name, set())
            campaign.check(len(ids) == 1, f"{person.name}: {len(ids)} distinct webhooks")
        await stop(campaign, running)


async def stop(campaign: Campaign, running: Process) -> None:
    """A last clean exit."""
    running.child.send_signal(signal.SIGTERM)
    async with asyncio.timeout(15):
        code = await running.child.wait()
    campaign.check(code == 0, f"exit {code} after a clean stop")


async def run(rounds: int, seed: int, directory: Path) -> Campaign:
    """All rounds on one state."""
    campaign = Campaign(random.Random(seed))
    async with receiver(campaign) as port:
        catalogue = CATALOGUE.format(port=port)
        for number in range(1, rounds + 1):
            await one_round(campaign, directory, catalogue, number)
            if sys.stdout.isatty():
                print(f"\r{number}/{rounds} {len(campaign.people)} people", end="", flush=True)
        await last_round(campaign, directory, catalogue, rounds)
    return campaign


def main() -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        campaign = asyncio.run(run(options.rounds, options.seed, Path(name)))
    for fault in campaign.faults[:20]:
        print(fault)
    told = ", ".join(f"{count} {what}" for what, count in sorted(campaign.seen.items()))
    print(
        f"seed {options.seed}: {len(campaign.people)} people, {told}; "
        f"{len(campaign.faults)} faults in {time.monotonic() - began_s:.0f} s"
    )
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
