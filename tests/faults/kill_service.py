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

import asyncio
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.ledger import (
    OUTSIDE,
    SECRET,
    Ledger,
    Line,
    conclude,
    fired,
    inside,
    parser,
    progress,
    receiver,
    session,
)
from tests.service.process import Process, process
from tests.service.serving import ping, walk_in

LANES = 8
KILL_AFTER_S = (0.02, 0.4)
DRAIN_S = 60.0
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
class Campaign(Ledger):
    """Everything one run knows."""

    people: dict[str, Person] = field(default_factory=dict)


class Phones:
    """The phones of one round, and the questions asked afterwards."""

    def __init__(self, campaign: Campaign, line: Line) -> None:
        self._campaign = campaign
        self._line = line

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
        person.is_in = person.is_in or await self._is_taken(person.walk)
        if person.is_in and (leaves or person.exit):
            person.exit = person.exit or ping(person.name, OUTSIDE)
            person.is_out = person.is_out or await self._is_taken(person.exit)
            return person.is_out
        return person.is_in

    async def _is_taken(self, rows: Any) -> bool:
        return await self._line.post(rows) is not None

    async def verify(self, person: Person) -> None:
        """Hold the service to what it acknowledged of a person."""
        check = self._campaign.check
        known = await self._line.person(person.name)
        if person.is_in:
            check(fired(known) == 1, f"{person.name}: {fired(known)} fired, 1 was acknowledged")
        if person.is_in and not person.exit:
            check(inside(known) == 1, f"{person.name}: entered, acknowledged, and not inside")
        if person.is_out:
            check(not inside(known), f"{person.name}: left, acknowledged, and still inside")


async def one_round(campaign: Campaign, directory: Path, catalogue: str, number: int) -> None:
    """Start, hold to account, load, kill."""
    async with process(directory, SECRET, catalogue) as running, session() as calls:
        phones = Phones(campaign, Line(calls, lambda: running.url))
        await settle(campaign, phones, f"{number - 1}-")
        lanes = [asyncio.create_task(phones.lane(f"{number}-{ix}")) for ix in range(LANES)]
        await asyncio.sleep(campaign.rng.uniform(*KILL_AFTER_S))
        running.child.send_signal(signal.SIGKILL)
        await running.child.wait()
        await asyncio.gather(*lanes)
        campaign.seen["kills"] += 1


async def settle(campaign: Campaign, phones: Phones, prefix: str) -> None:
    """Check the people of a round, post again what was not acknowledged, check once more."""
    people = [one for name, one in campaign.people.items() if name.startswith(prefix)]
    for person in people:
        await phones.verify(person)
    for person in people:
        if not person.is_in or (person.exit and not person.is_out):
            campaign.seen["posted again"] += 1
            campaign.check(await phones.walk(person, leaves=False), f"{person.name}: refused")
            await phones.verify(person)


async def last_round(campaign: Campaign, directory: Path, catalogue: str, number: int) -> None:
    """Start once more, let everything arrive, hold all of it to account, stop."""
    async with process(directory, SECRET, catalogue) as running, session() as calls:
        line = Line(calls, lambda: running.url)
        phones = Phones(campaign, line)
        await settle(campaign, phones, f"{number}-")
        await line.drain(DRAIN_S)
        for person in campaign.people.values():
            await phones.verify(person)
            ids = campaign.started.get(person.name, set())
            campaign.check(len(ids) == 1, f"{person.name}: {len(ids)} distinct webhooks")
            campaign.check(ids <= campaign.taken, f"{person.name}: the webhook has not arrived")
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
            progress(number, rounds, f"{len(campaign.people)} people")
        await last_round(campaign, directory, catalogue, rounds)
    return campaign


def main() -> int:
    """Run, and say what was found."""
    options = parser(__doc__, rounds=200).parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        campaign = asyncio.run(run(options.rounds, options.seed, Path(name)))
    return conclude(campaign, options.seed, len(campaign.people), began_s)


if __name__ == "__main__":
    raise SystemExit(main())
