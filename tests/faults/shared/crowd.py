"""People who walk about while things fail, and what must hold of them afterwards.

Each posts to both processes, byte for byte again until it is acknowledged, as a phone would, and
nothing after that. Everybody may have one message a day.

=======  ==========================================================================================
walker   walks into a shop, and perhaps out again
doubled  the same, posted to both processes at once
twins    one person with two phones, which walk into two shops at once, one by each process
late     a walker of whom, afterwards, older fixes arrive: outside while in the shop, or inside
         when already out of it
stopped  a walker who withdraws, by another process, at about the moment the message is due
=======  ==========================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.ledger import OUTSIDE, Ledger, Line, fired, inside
from tests.service.serving import AWAY, RIVOLI, now_s, ping, walk_in

BASTILLE = (48.8533, 2.3692)
KINDS = Counter(walker=6, doubled=2, twins=3, late=3, stopped=4)
PATIENCE_S = 60.0  # for something to be acknowledged by anybody
AGAIN_S = 0.02  # between two tries
STOP_WITHIN_S = 0.4  # of the walk: before the message goes, while it does, after
CHECKS_AT_ONCE = 16

Ask = Callable[[Line], Awaitable[Any]]


@dataclass
class Person:
    """Somebody, and what was acknowledged of them."""

    name: str
    kind: str
    is_in: bool = False
    has_left: bool = False
    is_stopped: bool = False


@dataclass
class Crowd:
    """Everybody, and the lines they use."""

    ledger: Ledger
    lines: Sequence[Line]
    kinds: Counter[str] = field(default_factory=lambda: Counter(KINDS))
    pause_s: float = 0.0  # between two people of a lane
    stop_within_s: float = STOP_WITHIN_S
    is_believing: bool = False  # counts as acknowledged what was only posted: to be found out
    people: list[Person] = field(default_factory=list)
    stopping: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def walking(self, lanes: int) -> AsyncIterator[None]:
        """So many at a time, for as long as this is entered; at its end all have arrived."""
        enough = asyncio.Event()
        running = [asyncio.create_task(self._lane(enough)) for _ in range(lanes)]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*running)

    async def _lane(self, enough: asyncio.Event) -> None:
        rng = self.ledger.rng
        while not enough.is_set():
            (kind,) = rng.choices(list(self.kinds), list(self.kinds.values()))
            person = Person(f"{kind}-{len(self.people)}", kind)
            self.people.append(person)
            await self.live(person)
            if self.pause_s:
                await asyncio.sleep(rng.uniform(0, 2 * self.pause_s))

    async def live(self, person: Person) -> None:
        """All that somebody does."""
        walk = walk_in(person.name)
        match person.kind:
            case "doubled":
                await asyncio.gather(*(self._insist(line, posting(walk)) for line in self.lines))
            case "twins":
                await self._walk_as_twins(person)
            case _:
                await self._walk_alone(person, walk)
        person.is_in = True
        match person.kind:
            case "walker" | "late":
                last = walk[-1]
                if self.ledger.rng.random() < 0.3:
                    last = ping(person.name, OUTSIDE)
                    await self._insist(self._any(), posting(last))
                    person.has_left = True
                if person.kind == "late":
                    await self._arrive_late(person, last["fix_time"])
            case "stopped":
                # It may have to wait until a dead process is known to be one; nobody else waits.
                stopping = asyncio.create_task(self._stop(person))
                self.stopping.add(stopping)

    async def _walk_alone(self, person: Person, walk: Any) -> None:
        """Answered at once, it is told what has happened, however often that was asked for."""
        line = self._any()
        told = await line.post(walk)
        if told is None:
            self.ledger.seen["asked again"] += 1
            await self._insist(line, posting(walk))
            return
        self.ledger.seen["acknowledged"] += 1
        is_told = "geoengine.zone.entered" in types_of(told)
        self.ledger.check(is_told, f"{person.name}: walked in, was answered, and not told of it")

    async def _walk_as_twins(self, person: Person) -> None:
        phones = zip(self.lines, (RIVOLI, BASTILLE), "ab", strict=True)
        walks = [
            self._insist(
                line, posting(walk_in(f"{person.name}-{nth}", shop, person_id=person.name))
            )
            for line, shop, nth in phones
        ]
        await asyncio.gather(*walks)

    async def _arrive_late(self, person: Person, last_s: float) -> None:
        """A fix from before the entry, or from before the exit: neither may do anything now."""
        if person.has_left:
            late = ping(person.name, RIVOLI) | {"fix_time": last_s - 3}
        else:
            late = ping(person.name, AWAY) | {"fix_time": last_s - 20}
        told = await self._insist(self._any(), posting(late))
        caused = types_of(told) if told else []
        self.ledger.check(not caused, f"{person.name}: a late fix caused {caused}")
        self.ledger.seen["late fixes"] += 1

    async def _stop(self, person: Person) -> None:
        await asyncio.sleep(self.ledger.rng.uniform(0, self.stop_within_s))
        if person.name in self.ledger.started:
            self.ledger.seen["withdrawals after the message"] += 1
        began_s = now_s()
        await self._insist(self._any(), lambda line: line.withdraw(person.name))
        self.ledger.withdrawn.add(person.name)
        person.is_stopped = True
        took_ms, longest = round((now_s() - began_s) * 1_000), "ms for the longest withdrawal"
        self.ledger.seen[longest] = max(took_ms, self.ledger.seen[longest])

    def _any(self) -> Line:
        return self.ledger.rng.choice(self.lines)

    async def _insist(self, first: Line, ask: Ask) -> Any:
        """What is answered once it is acknowledged, by whomever: first asked is ``first``."""
        others = [line for line in self.lines if line is not first]
        until_s = now_s() + PATIENCE_S
        while now_s() < until_s:
            for line in (first, *others):
                told = await ask(line)
                if told is not None or self.is_believing:
                    self.ledger.seen["acknowledged"] += 1
                    return told
                self.ledger.seen["asked again"] += 1
            await asyncio.sleep(AGAIN_S)
        self.ledger.check(False, f"nothing was acknowledged for {PATIENCE_S:g} s")
        return None

    # --- afterwards -----------------------------------------------------------------------------

    async def verify(self, first: int = 0) -> None:
        """Hold the service to what it acknowledged of everybody since the ``first``."""
        enough = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(person: Person) -> None:
            async with enough:
                expected = replace(person)  # acknowledged by now, and not while it is asked for
                self._check(expected, await self._any().person(person.name))

        await asyncio.gather(*(check(person) for person in self.people[first:]))

    def _check(self, person: Person, known: Any) -> None:
        check, count, zones = self.ledger.check, fired(known), inside(known)
        name = person.name
        check(count == 1, f"{name}: {count} fired, 1 was acknowledged")
        if person.kind in ("walker", "late", "doubled") and not person.has_left:
            check(zones == 1, f"{name}: entered, acknowledged, and in {zones} zones")
        if person.has_left:
            check(zones == 0, f"{name}: left, acknowledged, and in {zones} zones")
        if person.is_stopped:
            consents = known.get("consents", {})
            is_granted = consents.get("location", {}).get("granted", True)
            check(not is_granted, f"{name}: withdrawn, acknowledged, and granted")
            check(zones == 0, f"{name}: withdrawn, acknowledged, and in {zones} zones")

    async def settle(self, timeout_s: float) -> None:
        """Let everything end and hold all of it to account."""
        await asyncio.gather(*self.stopping)
        await self.lines[0].drain(timeout_s)
        await self.verify()
        for person in self.people:
            self._check_messages(person)

    def _check_messages(self, person: Person) -> None:
        ids = self.ledger.started.get(person.name, set())
        check = self.ledger.check
        check(len(ids) <= 1, f"{person.name}: {len(ids)} messages, the cap is 1")
        if person.kind != "stopped":
            check(len(ids) >= 1, f"{person.name}: fired and never sent")
            check(ids <= self.ledger.taken, f"{person.name}: sent and never taken")


def types_of(told: Any) -> list[str]:
    """What has happened, by the answer to a post."""
    return [event["type"] for event in told["events"]]


def posting(rows: Any) -> Ask:
    """To say on any line that a phone was somewhere."""
    return lambda line: line.post(rows)
