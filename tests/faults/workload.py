"""A load on a state that can be checked afterwards, whatever happened to it in between.

Each of several clerks counts up. A commit writes the new number into two records, one send, one
decision, one fact and one alias. So afterwards the number tells everything that must be there, and
nothing else may be. Beside them hands count up on cards, two hands on each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Decision, Fact, Record, Send
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, Change, Commit, Settlement
from geoengine.state.local import LocalState

CLERKS = 6
CARDS = ("pool/1", "pool/2")
LEASE_MS = 1_000_000
# A loop that spins keeps the interpreter's lock, and the writer thread, whose disk is Python here,
# would get it for a moment every few milliseconds only.
PAUSE_S = 0.0005


class Acknowledged:
    """What the state has said yes to."""

    def __init__(self) -> None:
        self.numbers = dict.fromkeys(range(CLERKS), 0)
        self.settled: set[str] = set()
        self.cards = dict.fromkeys(CARDS, 0)

    def note(self, line: str) -> None:
        """Take in one acknowledgement: ``commit CLERK NUMBER``, ``settled SEND_ID``, ``card NAME
        NUMBER``.
        """
        what, *values = line.split()
        if what == "commit":
            self.numbers[int(values[0])] = int(values[1])
        elif what == "settled":
            self.settled.add(values[0])
        elif what == "card":
            self.cards[values[0]] = max(self.cards[values[0]], int(values[1]))


async def load(state: LocalState, acknowledge: Callable[[str], None]) -> None:
    """Count up until the state gives out; tell of each thing only once it was acknowledged."""
    clerks = [_count(state, clerk, acknowledge) for clerk in range(CLERKS)]
    hands = [_claim(state, name, acknowledge) for name in CARDS for _ in range(2)]
    await asyncio.gather(
        *clerks, *hands, _settle(state, acknowledge), _murmur(state), return_exceptions=True
    )


async def _count(state: LocalState, clerk: int, acknowledge: Callable[[str], None]) -> None:
    names = [f"{side}{clerk}" for side in "ab"]
    while True:
        found = await state.load(names)
        records = [found.get(name) or Record(name) for name in names]
        number = records[0].attributes.get("number", 0) + 1
        for record in records:
            record.attributes["number"] = number
        await state.commit(_numbered(clerk, number, records))
        acknowledge(f"commit {clerk} {number}")


def _numbered(clerk: int, number: int, records: list[Record]) -> Commit:
    name = records[0].person_id
    return Commit(
        op_id=f"{clerk}-{number}",
        changes=tuple(Change(record, number) for record in records),
        sends=(
            Send(f"{clerk}-{number}", "trigger", name, "log", 0, 1 << 50, number, {"n": number}),
        ),
        decisions=(Decision(name, number, "c", "s", "z", "v", "fired", ""),),
        facts=(Fact(f"{clerk}-{number}", "visit", name, number),),
        aliases={f"device-{clerk}-{number % 3}": name},
        now_ms=number,
    )


async def _claim(state: LocalState, name: str, acknowledge: Callable[[str], None]) -> None:
    def count_up(card: Card) -> Card:
        return replace(card, body=b"%d" % (int(card.body or b"0") + 1))

    while True:
        card = await amend_card(state, name, count_up, now_ms=1)
        acknowledge(f"card {name} {card.body.decode()}")
        await asyncio.sleep(PAUSE_S)


async def _settle(state: LocalState, acknowledge: Callable[[str], None]) -> None:
    while True:
        leased = await state.lease(1 << 40, 5, "worker", LEASE_MS)
        ends = [Settlement(row.send.send_id, "delivered") for row in leased]
        for send_id in await state.settle(ends, "worker", 1):
            acknowledge(f"settled {send_id}")
        await asyncio.sleep(PAUSE_S)


async def _murmur(state: LocalState) -> None:
    """Changes that need not last, in between, carried along by those that must."""
    while True:
        for name in ("soft-1", "soft-2"):
            record = (await state.load([name])).get(name) or Record(name)
            await state.commit(Commit("", changes=(Change(record, None, is_durable=False),)))
            await asyncio.sleep(PAUSE_S)


async def faults_of(state: LocalState, said: Acknowledged) -> list[str]:
    """Everything that is not as it was acknowledged; empty if all is well."""
    faults = []
    rows = {row.send.send_id: row for row in await state.sends(limit=1 << 30)}
    for clerk, said_number in said.numbers.items():
        found = await state.load([f"a{clerk}", f"b{clerk}"])
        numbers = [record.attributes["number"] for record in found.values()] or [0, 0]
        number = numbers[0]
        if len(numbers) != 2 or numbers[0] != numbers[1]:
            faults.append(f"clerk {clerk}: half a commit, {numbers}")
        if number < said_number:
            faults.append(f"clerk {clerk}: lost, {number} instead of {said_number}")
        if any(record.version != number for record in found.values()):
            faults.append(f"clerk {clerk}: versions {[r.version for r in found.values()]}")
        decisions = await state.decisions(f"a{clerk}", 1 << 30)
        if [d.at_ms for d in decisions] != list(range(number, 0, -1)):
            faults.append(f"clerk {clerk}: {len(decisions)} decisions, not {number}")
        facts = await state.facts(f"a{clerk}", 1 << 30)
        if [fact.at_ms for fact in facts] != list(range(number, 0, -1)):
            faults.append(f"clerk {clerk}: {len(facts)} facts, not {number}")
        sends = {send_id for send_id in rows if send_id.startswith(f"{clerk}-")}
        if sends != {f"{clerk}-{n}" for n in range(1, number + 1)}:
            faults.append(f"clerk {clerk}: {len(sends)} sends, not {number}")
    faults += await _faults_of_cards(state, said)
    again = {row.send.send_id for row in await state.lease(1 << 40, 1 << 30, "judge", 1)}
    if twice := said.settled & again:
        faults.append(f"to be sent twice: {sorted(twice)}")
    if unsettled := {s for s in said.settled if s not in rows or rows[s].status != "delivered"}:
        faults.append(f"settlements lost: {sorted(unsettled)[:5]}")
    return faults


async def _faults_of_cards(state: LocalState, said: Acknowledged) -> list[str]:
    faults, cards = [], await state.cards(CARDS)
    for name, said_number in said.cards.items():
        number = int(cards[name].body) if name in cards else 0
        if number < said_number:
            faults.append(f"{name}: lost, {number} instead of {said_number}")
        if number != (cards[name].version if name in cards else 0):
            faults.append(f"{name}: {number} in version {cards[name].version}")
    stats = await state.stats()
    if (stats.card_count, stats.fact_count) != (len(cards), stats.decision_count):
        faults.append(f"counted: {stats}")
    return faults


async def run_until_it_fails(state: LocalState, said: Acknowledged) -> None:
    """Open, load, and close whatever is left; `said` holds what was acknowledged."""
    try:
        await state.open()
    except StateUnavailable:
        return
    try:
        await load(state, said.note)
    finally:
        with_error = await asyncio.gather(state.close(), return_exceptions=True)
        assert all(isinstance(e, StateUnavailable | None) for e in with_error), with_error
