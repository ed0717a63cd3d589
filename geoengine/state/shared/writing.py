"""A commit on its way: cut by partition, and told who lost.

A commit that binds names touches the partition of the owner, then those of former owners, then
the homes of the names. Cut short in between, it is made good by whoever looks for the device next,
or tries to bind it again: at a former owner's nobody finds it any more, and is sent on until its
home tells whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Decision, Fact
from geoengine.state.base import Commit
from geoengine.state.shared.names import Names
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import Bodies, binary, change_of, pack, send_row, version_of
from geoengine.state.shared.served.horizon import Moment

SAID_BYTES: Final = 32_768  # what is kept of the decisions about a person: some 300
HAPPENED_BYTES: Final = 131_072  # and of the facts: some 900: eight a week for two years
HOPS_MAX: Final = 3  # from a name's home to its owner; more than one after a change was cut short
_OP_BYTES: Final = 16


class Writing:
    """Writes commits."""

    def __init__(
        self, partitions: Partitions, names: Names, *, capacity: int, pending_limit: int
    ) -> None:
        """``capacity`` is how many devices' last fixes are kept, in all partitions together."""
        self._partitions = partitions
        self._names = names
        # Two hashes take turns in each partition, and both may be full.
        devices = max(capacity // (2 * partitions.count), 1)
        self._limits = [devices, max(pending_limit // partitions.count, 1)]
        self._limits += [SAID_BYTES, HAPPENED_BYTES]

    async def write(self, commit: Commit) -> list[Moment]:
        """Write it; what falls due when by it.

        Raises `StateConflict`, `StateUnavailable`.
        """
        if commit.is_bond:
            return await self._bind(commit)
        return await self._parts(commit)

    async def _parts(
        self,
        commit: Commit,
        bindings: dict[int, list[list[Any]]] | None = None,
        drops: dict[int, list[list[Any]]] | None = None,
    ) -> list[Moment]:
        bodies = self._bodies(commit)
        gone = bodies.lost if bodies else []
        if gone:
            commit = commit.without(set(gone))
            bodies = self._bodies(commit)
        whole, notes = self._cut(commit, bodies, bindings or {}, drops or {})
        parts, noted = await asyncio.gather(
            self._partitions.call("commit", whole, is_write=commit.is_durable),
            self._partitions.call("note", notes),
        )
        if any(is_full for _, is_full in parts.values()):
            raise StateUnavailable("the outbox is full")
        lost = [name for names, _ in parts.values() for name in names]
        lost += [name for names in noted.values() for name in names]
        if lost or gone:
            raise StateConflict(sorted({*gone, *(name.decode() for name in lost)}))
        of = self._partitions.of
        moments = [
            Moment(of(one.record.person_id), one.due_ms, None)
            for one in commit.changes
            if one.due_ms is not None
        ]
        return moments + [Moment(of(one.person_id), None, one.due_ms) for one in commit.sends]

    def _bodies(self, commit: Commit) -> Bodies | None:
        if commit.last is None or not len(commit.last):
            return None
        return Bodies(commit.last, commit.rests, self._names.looks)

    def _cut(
        self,
        commit: Commit,
        bodies: Bodies | None,
        bindings: dict[int, list[list[Any]]],
        drops: dict[int, list[list[Any]]],
    ) -> tuple[dict[int, Any], dict[int, Any]]:
        """Requests by partition: of those where records change, and where only last fixes do."""
        split, of = self._partitions.split, self._partitions.of
        is_forgotten = bool(commit.forget_devices)
        changes = split(commit.changes, lambda change: change.record.person_id)
        sends = split(commit.sends, lambda send: send.person_id)
        decisions = split(commit.decisions, lambda decision: decision.person_id)
        facts = split(commit.facts, lambda fact: fact.person_id)
        cancels = split(commit.cancel_sends_of, lambda one: one[0])
        forgets: dict[int, list[str]] = {}
        for device_id in commit.forget_devices:
            for number in {of(device_id), *changes}:
                forgets.setdefault(number, []).append(device_id)
        touched = changes.keys() | sends.keys() | decisions.keys() | cancels.keys()
        touched |= facts.keys() | forgets.keys() | bindings.keys() | drops.keys()
        rows: dict[int, Any] = {}
        if bodies is not None and commit.last is not None:
            rows = bodies.shares(self._partitions.group(commit.last.person_ids))
        op = _digest(commit.op_id)
        whole = {
            number: [
                op,
                commit.now_ms,
                [
                    change_of(
                        one,
                        is_forgotten=is_forgotten,
                        is_own=commit.aliases.get(one.record.person_id) == one.record.person_id,
                    )
                    for one in changes.get(number, ())
                ],
                rows.pop(number, False),
                [send_row(send) for send in sends.get(number, ())],
                [_logged(decision) for decision in decisions.get(number, ())],
                cancels.get(number, ()),
                forgets.get(number, ()),
                bindings.get(number, ()),
                drops.get(number, ()),
                self._limits,
                [_logged(fact) for fact in facts.get(number, ())],
            ]
            for number in touched
        }
        return whole, {number: [share, self._limits[0]] for number, share in rows.items()}

    # --- names ----------------------------------------------------------------------------------

    async def _bind(self, commit: Commit) -> list[Moment]:
        of, call = self._partitions.of, self._partitions.call
        found = await self.home({*commit.aliases, *commit.drop_people})
        self._require_versions(commit, found)
        bindings: dict[int, list[list[Any]]] = {}
        drops: dict[int, list[list[Any]]] = {}
        moves: dict[int, list[list[Any]]] = {}
        leaves: dict[int, list[list[Any]]] = {}
        farewells: dict[int, list[list[Any]]] = {}
        for name, version in commit.drop_people.items():
            # A record goes in the stroke in which its name becomes another's.
            if of(commit.aliases.get(name, name)) == of(name):
                drops.setdefault(of(name), []).append([name, binary(version_of(version))])
        for name, owner in commit.aliases.items():
            before, row = found[name][0] or name, found[name][1]
            if owner != name:
                bindings.setdefault(of(owner), []).append([name, owner, binary(row)])
            is_away = of(owner) != of(name)
            dropped = commit.drop_people.get(name) if is_away else None
            own_version = binary(b"" if dropped is None else version_of(dropped))
            moves.setdefault(of(name), []).append([name, owner, is_away, own_version])
            if before not in (name, owner):
                is_elsewhere = of(before) != of(owner)
                leaves.setdefault(of(before), []).append([name, before, is_elsewhere, owner])
                if is_elsewhere and of(before) != of(name):
                    farewells.setdefault(of(before), []).append([name, owner])
        moments = await self._parts(commit, bindings, drops)
        homes = {number: (mine, self._limits[0]) for number, mine in moves.items()}
        await call("move_out", leaves, is_write=True)
        settled_in = await call("settle_in", homes, is_write=True)
        if lost := [name.decode() for names in settled_in.values() for name in names]:
            raise StateConflict(lost)
        await call("leave_home", farewells, is_write=True)
        for name, owner in commit.aliases.items():
            self._names.learn(name, owner)
        return moments

    async def home(self, names: Iterable[str]) -> dict[str, tuple[str, bytes, bytes]]:
        """Of each name: its owner ("" for itself), its last fix, the version of its own record.

        Where a change of hands was cut short, the former owner's partition says whose it is.
        """
        shares = self._partitions.split(names, str)
        replies = await self._partitions.call("home", shares)
        found = {
            name: (owner.decode(), row, version)
            for number, mine in shares.items()
            for name, (owner, row, version) in zip(mine, replies[number], strict=True)
        }
        strays = {name: owner for name, (owner, row, _) in found.items() if owner and not row}
        for _ in range(HOPS_MAX):
            away = self._partitions.split(strays, lambda name: strays[name])
            replies = await self._partitions.call("home", away)
            sent_on: dict[str, str] = {}
            for number, mine in away.items():
                for name, (told, row, _) in zip(mine, replies[number], strict=True):
                    owner = told.decode() or strays[name]
                    if owner != strays[name] and not row:
                        sent_on[name] = owner
                    found[name] = (owner, row, found[name][2])
            if not (strays := sent_on):
                break
        return found

    def _require_versions(self, commit: Commit, found: dict[str, tuple[str, bytes, bytes]]) -> None:
        """Nobody to be dropped may have changed; who is gone already may have been by this."""
        lost = []
        for name, version in commit.drop_people.items():
            owner, _, there = found[name]
            is_done = there == version_of(0) and owner and owner == commit.aliases.get(name)
            if there != version_of(version) and not is_done:
                lost.append(name)
        if lost:
            raise StateConflict(lost)


def _logged(one: Decision | Fact) -> list[Any]:
    return [one.person_id, one.at_ms, binary(pack(one))]


def _digest(op_id: str) -> str:
    """In place of an operation id, which may name somebody; nothing for none."""
    return blake2b(op_id.encode(), digest_size=_OP_BYTES).hexdigest() if op_id else ""
