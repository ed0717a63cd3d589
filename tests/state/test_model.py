"""Any sequence of calls, with restarts in between: the state agrees with a model of two pages."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from geoengine.core.columns import LastFixes
from geoengine.core.errors import StateConflict
from geoengine.core.record import Fact, Record
from geoengine.state.base import Card, Change, Commit, Settlement
from tests.state.backends import CONCURRENT_WORLDS, World
from tests.state.samples import decision, everybody, fixes, last, op, send

NAMES = ("ann", "bob", "cleo")
DEVICES = ("phone", "tablet", *NAMES)
MESSAGES = ("s0", "s1", "s2")
CARDS = ("code/1", "code/2", "pool/1")
SENDS = tuple(f"{message} to {name}" for message in MESSAGES for name in NAMES)
OWNERS = ("w1", "w2")
LEASE_MS = 10

names = st.sampled_from(NAMES)
some_names = st.lists(names, min_size=1, max_size=3, unique=True)


def columns_of(rows: LastFixes) -> dict[str, Any]:
    return {name: getattr(rows, name) for name in rows.__dataclass_fields__}


class StateModel(RuleBasedStateMachine):
    """What the state must do, in plain dictionaries."""

    make: Callable[[Path], World]

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp())
        self.world = type(self).make(self.directory)
        self.run(self.world.__aenter__())
        self.now_ms = 0
        self.records: dict[str, tuple[int, str, int | None]] = {}  # version, locale, due_ms
        self.seen: dict[str, int] = {}  # the highest version a name has had
        self.owners: dict[str, str] = {}
        self.sends: dict[str, str] = {}  # status, in order of appending
        self.sent_to: dict[str, str] = {}
        self.leases: dict[str, tuple[str, int]] = {}
        self.cancelled: set[str] = set()  # while leased
        self.decided: list[str] = []
        self.happened: dict[str, str] = {}  # fact -> person
        self.cards: dict[str, Card] = {}
        self.card_versions: dict[str, int] = {}  # the highest a name has had
        self.last_ms: dict[str, int] = {}
        self.done: list[Commit] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.world.__aexit__())
            self.loop.close()
            shutil.rmtree(self.directory)

    @rule(
        people=some_names,
        is_durable=st.booleans(),
        is_gone=st.booleans(),
        is_stale=st.booleans(),
        due_ms=st.none() | st.integers(0, 60),
        messages=st.lists(st.sampled_from(MESSAGES), max_size=2, unique=True),
        is_decided=st.booleans(),
    )
    def commit(
        self,
        people: list[str],
        is_durable: bool,
        is_gone: bool,
        is_stale: bool,
        due_ms: int | None,
        messages: list[str],
        is_decided: bool,
    ) -> None:
        text = op()
        send_ids = [f"{message} to {people[0]}" for message in messages]
        versions = {name: self.records.get(name, (0, "", None))[0] for name in people}
        versions[people[-1]] += is_stale
        commit = Commit(
            text,
            changes=tuple(
                Change(Record(n, v, locale=text), due_ms, is_durable, is_gone)
                for n, v in versions.items()
            ),
            sends=tuple(send(s, people[0], self.now_ms) for s in send_ids),
            decisions=(decision(people[0], 1),) if is_decided else (),
            facts=(Fact(text, "visit", people[0], 1),) if is_decided else (),
            now_ms=self.now_ms,
        )
        # Who stands for somebody else is nobody to be written to.
        lost = {name for name in people if self.owners.get(name, name) != name}
        lost |= {people[-1]} if is_stale else set()
        try:
            self.run(self.world.state.commit(commit))
        except StateConflict as conflict:
            assert set(conflict.people) == lost
            versions = {name: v for name, v in versions.items() if name not in lost}
        else:
            assert not lost
            self.done.append(commit)
        kept = self.run(self.world.state.load(list(versions)))
        for name, version in versions.items():
            self.records.pop(name, None)
            if not is_gone:
                assert kept[name].version == version + 1 or not version
                assert kept[name].version > self.seen.get(name, 0)  # also of who was forgotten
                self.seen[name] = kept[name].version
                self.records[name] = (kept[name].version, text, due_ms)
        if people[0] in lost:
            return
        for send_id in send_ids:
            if send_id not in self.sends:
                self.sends[send_id], self.sent_to[send_id] = "pending", people[0]
        self.decided += people[:1] * is_decided
        self.happened |= dict.fromkeys([text] * is_decided, people[0])

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        if self.done:
            commit = data.draw(st.sampled_from(self.done[-5:]))
            if commit.is_durable:  # the others are remembered until a restart only
                self.run(self.world.state.commit(commit))

    @rule(
        name=st.sampled_from(CARDS),
        owner=names | st.just(""),
        body=st.sampled_from([b"", b"x", b"y"]),
        until_ms=st.integers(0, 60),
        is_stale=st.booleans(),
    )
    def put_card(self, name: str, owner: str, body: bytes, until_ms: int, is_stale: bool) -> None:
        there = self.cards.get(name)
        version = (there.version if there else 0) + is_stale
        card = Card(name, body, version, owner, until_ms)
        try:
            kept = self.run(self.world.state.put_card(card, self.now_ms))
        except StateConflict:
            assert is_stale
            return
        assert not is_stale
        self.cards.pop(name, None)
        if body:
            assert kept == replace(card, version=kept.version)
            assert kept.version > self.card_versions.get(name, 0)
            self.cards[name] = kept
            self.card_versions[name] = kept.version

    @rule()
    def trim(self) -> None:
        gone = [n for n, card in self.cards.items() if 0 < card.until_ms < self.now_ms]
        assert self.run(self.world.state.trim(self.now_ms, 0)) == len(gone)
        for name in gone:
            del self.cards[name]

    @rule(device=st.sampled_from(DEVICES), owner=names)
    def identify(self, device: str, owner: str) -> None:
        if device == owner:
            return  # back to nobody: the last fix may go or stay
        self.run(self.world.state.commit(Commit(op(), aliases={device: owner})))
        self.owners[device] = owner

    @rule(devices=st.lists(st.sampled_from(DEVICES), min_size=1, unique=True))
    def locate(self, devices: list[str]) -> None:
        people = [self.owners.get(device, device) for device in devices]
        rows = last(self.now_ms, *devices)
        rows = LastFixes(**columns_of(rows) | {"person_ids": people})
        self.run(self.world.state.commit(Commit(op(), last=rows)))
        self.last_ms.update(dict.fromkeys(devices, self.now_ms))

    @rule(person=names, is_dropped=st.booleans())
    def withdraw(self, person: str, is_dropped: bool) -> None:
        if self.owners.get(person, person) != person:
            return  # who stands for somebody else has nothing to withdraw
        dropped = {person: self.records.get(person, (0, "", None))[0]} if is_dropped else {}
        commit = Commit(
            op(), cancel_sends_of=((person, ""),), forget_devices=(person,), drop_people=dropped
        )
        self.run(self.world.state.commit(commit))
        self.last_ms.pop(person, None)
        for send_id, to in self.sent_to.items():
            if to == person and self.sends[send_id] == "pending":
                self.sends[send_id] = "refused"
                if send_id in self.leases:
                    self.cancelled.add(send_id)
        if is_dropped:
            self.records.pop(person, None)

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(1, 4))
    def lease(self, owner: str, limit: int) -> None:
        rows = self.run(self.world.state.lease(self.now_ms, limit, owner, LEASE_MS))
        got = [row.send.send_id for row in rows]
        free = {
            send_id
            for send_id, status in self.sends.items()
            if status == "pending" and self.leases.get(send_id, ("", 0))[1] <= self.now_ms
        }
        assert set(got) <= free and len(got) == min(limit, len(free))
        self.leases.update(dict.fromkeys(got, (owner, self.now_ms + LEASE_MS)))

    @rule(
        owner=st.sampled_from(OWNERS),
        send_id=st.sampled_from(SENDS),
        status=st.sampled_from(["delivered", "dead", "retry"]),
    )
    def settle(self, owner: str, send_id: str, status: str) -> None:
        end = Settlement(send_id, status, "why", due_ms=self.now_ms)
        settled = self.run(self.world.state.settle([end], owner, self.now_ms))
        is_held = self.leases.get(send_id, ("", 0))[0] == owner
        assert settled == ([send_id] if is_held else [])
        if is_held:
            del self.leases[send_id]
            self.cancelled.discard(send_id)
            if status != "retry":
                self.sends[send_id] = status

    @rule(send_id=st.sampled_from(SENDS))
    def revive(self, send_id: str) -> None:
        revived = self.run(self.world.state.revive([send_id], self.now_ms, 1 << 40))
        assert revived == [send_id] * (self.sends.get(send_id) == "dead")
        self.sends |= dict.fromkeys(revived, "pending")

    @rule(person=names)
    def erase(self, person: str) -> None:
        if self.owners.get(person, person) != person:
            return  # it is the owner who is erased
        self.run(self.world.state.erase(person, self.now_ms))
        self.records.pop(person, None)
        gone = [s for s, to in self.sent_to.items() if to == person]
        for send_id in gone:
            del self.sends[send_id], self.sent_to[send_id]
            self.leases.pop(send_id, None)
        for device in [person, *(d for d, o in self.owners.items() if o == person)]:
            self.last_ms.pop(device, None)
        self.owners = {d: o for d, o in self.owners.items() if o != person}
        self.decided = [name for name in self.decided if name != person]
        self.happened = {fact: name for fact, name in self.happened.items() if name != person}
        self.cards = {n: card for n, card in self.cards.items() if card.owner != person}

    @rule(later_ms=st.integers(1, 15))
    def wait(self, later_ms: int) -> None:
        self.now_ms += later_ms

    @rule()
    def checkpoint(self) -> None:
        self.run(self.world.state.checkpoint())

    @rule()
    def restart(self) -> None:
        self.run(self.world.restart())
        self.seen.clear()  # nobody who loaded a record before may commit it after
        self.card_versions.clear()
        if self.world.can_restart:
            self.leases.clear()
            self.cancelled.clear()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "world"):
            return
        state = self.world.state
        assert self.run(everybody(state)) == sorted(self.records)
        found = self.run(state.load(list(NAMES)))
        assert {n: (r.version, r.locale) for n, r in found.items()} == {
            n: values[:2] for n, values in self.records.items()
        }
        overdue = {
            n for n, (*_, due) in self.records.items() if due is not None and due <= self.now_ms
        }
        assert set(self.run(state.due(self.now_ms))) == overdue
        assert self.run(state.owners(list(DEVICES))) == [self.owners.get(d, d) for d in DEVICES]
        known = self.run(state.known(fixes(*DEVICES)))
        assert known.fix_ms.tolist() == [self.last_ms.get(d, -1) for d in DEVICES]

    @invariant()
    def cards_and_facts_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        state = self.world.state
        assert self.run(state.cards(CARDS)) == self.cards
        page = self.run(state.cards_from("code/"))
        assert {card.name: card for card in page.cards} == {
            name: card for name, card in self.cards.items() if name.startswith("code/")
        }
        for name in NAMES:
            found = {fact.id for fact in self.run(state.facts(name))}
            assert found == {fact for fact, to in self.happened.items() if to == name}
        stats = self.run(state.stats())
        assert (stats.card_count, stats.fact_count) == (len(self.cards), len(self.happened))

    @invariant()
    def outbox_agrees(self) -> None:
        if not hasattr(self, "world"):
            return
        rows = self.run(self.world.state.sends())
        seen = {row.send.send_id: row.status.replace("leased", "pending") for row in rows}
        assert seen == self.sends
        pending = sum(status == "pending" for status in self.sends.values())
        stats = self.run(self.world.state.stats())
        assert (stats.pending_count, stats.decision_count) == (pending, len(self.decided))
        dead = sum(status == "dead" for status in self.sends.values())
        assert stats.dead_count == dead


class MemoryModel(StateModel):
    make = staticmethod(CONCURRENT_WORLDS["memory"])


class LocalModel(StateModel):
    make = staticmethod(CONCURRENT_WORLDS["local"])


class SharedModel(StateModel):
    """Rows of a process that stopped are free; what is shared outlives it."""

    make = staticmethod(CONCURRENT_WORLDS["valkey"])


class ClusterModel(StateModel):
    make = staticmethod(CONCURRENT_WORLDS["cluster"])


_FEW = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestMemory = MemoryModel.TestCase
TestMemory.settings = _FEW
TestLocal = LocalModel.TestCase
TestLocal.settings = _FEW
TestShared = SharedModel.TestCase
TestShared.settings = _FEW
TestCluster = ClusterModel.TestCase
TestCluster.settings = settings(_FEW, max_examples=10)
