"""The link to the servers: finds who serves a call, sends it there, and says what became of it.

Theory of operation
-------------------
A call is one server-side function with all its keys in one slot. Calls are grouped by server, and
each server's are written in one go on one connection; servers work at the same time. Whatever may
pass is tried again by one explicit loop, with a back-off, until patience ends: then
`StateUnavailable`. Our functions are idempotent, so a call whose reply was lost may be sent again;
nothing below this loop ever sends twice. After a write the same connection waits for replicas
(`replicas` says for how many, and what a function must do to be waited for).

The library's text holds the word VERSION where its names need one, and the link puts a hash of the
text there: releases run side by side. A server that does not know a function (a new primary, one
that was flushed) is asked again with the library in front, in one go: whoever flushes it all the
time does not come in between.

What it does not do: split a call over slots, order calls among themselves, undo what was done
before something else failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from geoengine.core.errors import StateUnavailable
from geoengine.state.shared.line.nodes import Nodes, misnamed
from geoengine.state.shared.line.refusals import LibraryFault as LibraryFault
from geoengine.state.shared.line.refusals import Verdict
from geoengine.state.shared.line.replicas import Replicas
from geoengine.state.shared.line.topology import Topology, redirected, slot_of
from geoengine.state.shared.line.urls import Address, parse_url
from geoengine.state.shared.line.wire import (
    FIRST_WAIT_S,
    LAST_WAIT_S,
    Broken,
    Refusal,
    Word,
    Words,
    jittered_s,
    pack,
    pack_call,
)

CONNECTIONS: Final = 8  # a server; more would only queue there instead of here
PATIENCE_S: Final = 5.0
TIMEOUT_S: Final = 2.0  # for the answers of one exchange; a function runs for milliseconds
WAIT_MS: Final = 1_000  # for replicas to acknowledge; they take one round trip when they are well
_ASKING: Final = pack((b"ASKING",))
PROMPT_ROUNDS: Final = 3  # so many times is a call sent elsewhere without a pause


class Call(NamedTuple):
    """A server-side function to be run: its name without version, its keys (one slot), the rest."""

    function: str
    keys: tuple[str, ...]
    args: Words


@dataclass(slots=True)
class _Errand:
    """One command on its way."""

    packed: bytes
    slot: int
    asked: Address | None = None  # who takes it this once, though the slot is not yet theirs
    is_unknown: bool = False  # the function: whoever takes it is given the library with it
    reply: Any = None
    is_done: bool = False


class _Trouble(NamedTuple):
    """Why errands must be run again, by whose word, and who may know better."""

    verdict: Verdict
    address: Address
    text: str
    knowing: Address | None = None


class Link:
    """Connections to one server or to a Cluster, and the functions there."""

    def __init__(
        self,
        url: str,
        library: str,
        *,
        names: Sequence[str],
        patience_s: float = PATIENCE_S,
        timeout_s: float = TIMEOUT_S,
        wait_ms: int = WAIT_MS,
        connections: int = CONNECTIONS,
        rng: random.Random | None = None,
    ) -> None:
        """``names`` are the library's functions. Raises `ConfigurationError` for a bad URL."""
        target = parse_url(url)
        self.is_cluster = target.is_cluster
        self.prefix = target.prefix
        self.partitions = target.partitions
        self.version = hashlib.sha256(library.encode()).hexdigest()[:10]
        text = library.replace("VERSION", self.version)
        self._load = pack((b"FUNCTION", b"LOAD", b"REPLACE", text))
        self._names = {name: f"{name}_{self.version}".encode() for name in names}
        self._patience_s = patience_s
        self._rng = rng or random.Random()
        self._nodes = Nodes(target, connections=connections, timeout_s=timeout_s, rng=self._rng)
        self._replicas = Replicas(self._nodes, wait_ms)
        self._is_open = False

    @property
    def password(self) -> str:
        """What the URL says; not to be shown."""
        return self._nodes.target.password or ""

    async def open(self) -> None:
        """Find the servers. Raises `StateUnavailable`, `ConfigurationError` if they are others."""
        self._is_open = True
        try:
            await (self.command("PING") if self.is_cluster else self._meet())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections. Does nothing the second time."""
        self._is_open = False
        await self._nodes.close()

    async def call(self, calls: Sequence[Call], *, is_write: bool) -> list[Any]:
        """Run functions, at once and in no order among them; their replies in order, undecoded.

        Raises `StateUnavailable` when patience ends or waiting would not help: some of the calls
        may have been done then, and some not. Raises `LibraryFault` when a function fails.
        """
        names = self._names
        errands = [
            _Errand(pack_call(names[function], keys, args), slot_of(keys[0]) if keys else 0)
            for function, keys, args in calls
        ]
        return await self._run(errands, is_write=is_write)

    async def command(self, *words: Word, key: str | None = None) -> Any:
        """One command, where the key is or to the first primary; it may be sent more than once."""
        slot = 0 if key is None else slot_of(key)
        return (await self._run([_Errand(pack(words), slot)], is_write=False))[0]

    async def everywhere(self, *words: Word) -> dict[str, Any]:
        """One command to every primary: its replies by address."""
        primaries = self._nodes.topology.primaries()
        packed = pack(words)
        errands = [_Errand(packed, slot) for slot in primaries.values()]
        replies = await self._run(errands, is_write=False)
        return dict(zip(map(str, primaries), replies, strict=True))

    async def _meet(self) -> None:
        """See what kind of server it is, and whether replicas follow it."""
        lines = (await self.command("INFO")).decode().splitlines()
        info = {name: text for name, _, text in (line.partition(":") for line in lines)}
        if info.get("cluster_enabled") == "1":
            raise misnamed("the server is part of a Cluster; expected redis+cluster://")
        if info.get("role") != "master":
            (address,) = self._nodes.topology.servers
            raise self._nodes.unavailable(address, "it is a replica; its primary is needed")
        if self._replicas.fixed is None:
            self._replicas.fixed = min(1, int(info.get("connected_slaves", "0")))

    async def _run(self, errands: list[_Errand], *, is_write: bool) -> list[Any]:
        """Run errands until all are done or patience ends."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience_s
        wait_s = FIRST_WAIT_S
        prompt_rounds = PROMPT_ROUNDS
        pending = errands
        while True:
            if not self._is_open:
                raise StateUnavailable("the link to the state is closed")
            topology = self._nodes.topology
            troubles = await self._round(pending, topology, until_s, is_write=is_write)
            if not troubles:
                return [errand.reply for errand in errands]
            pending = [errand for errand in pending if not errand.is_done]
            trouble = await self._mend(troubles, topology, until_s)
            left_s = until_s - loop.time()
            if left_s <= 0:
                text = f"{trouble.text} (tried for {self._patience_s:g} s)"
                raise self._nodes.unavailable(trouble.address, text)
            if trouble.verdict is Verdict.AGAIN or prompt_rounds == 0:
                await asyncio.sleep(min(jittered_s(wait_s, self._rng), left_s))
                wait_s = min(2 * wait_s, LAST_WAIT_S)
            else:
                prompt_rounds -= 1

    async def _round(
        self, pending: list[_Errand], topology: Topology, until_s: float, *, is_write: bool
    ) -> list[_Trouble]:
        """Visit every server that has something to do, all at the same time."""
        troubles = []
        by_address: dict[Address, list[_Errand]] = {}
        slots = topology.slots
        for errand in pending:
            address = errand.asked or slots[errand.slot % len(slots)]
            if address is None:
                nobody = "nobody serves some of the slots"
                troubles = [_Trouble(Verdict.MOVED, topology.servers[0], nobody)]
            else:
                by_address.setdefault(address, []).append(errand)
        visits = [
            self._visit(address, errands, until_s, is_write=is_write)
            for address, errands in by_address.items()
        ]
        if len(visits) == 1:
            return troubles + await visits[0]
        for found in await asyncio.gather(*visits, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found
            troubles += found
        return troubles

    async def _visit(
        self, address: Address, errands: list[_Errand], until_s: float, *, is_write: bool
    ) -> list[_Trouble]:
        """Run the errands that one server is for; what went wrong, if it may yet go well."""
        try:
            wanted = await self._replicas.wanted(address, until_s) if is_write else 0
            replies = await self._exchange(address, errands, wanted, until_s)
        except Broken as broken:
            for errand in errands:
                errand.asked = None
            return [_Trouble(Verdict.AGAIN, address, str(broken))]
        troubles = []
        for errand, reply in zip(errands, replies, strict=True):
            if isinstance(reply, Refusal):
                troubles.append(self._refused(errand, reply, address))
            else:
                errand.reply, errand.is_done = reply, True
        return troubles

    async def _exchange(
        self, address: Address, errands: list[_Errand], wanted: int, until_s: float
    ) -> list[Any]:
        """The errands' replies, once as many replicas as wanted hold what was written."""
        is_loading = any(errand.is_unknown for errand in errands)
        commands: list[bytes] = [self._load] if is_loading else []
        places = []
        for errand in errands:
            if errand.asked:
                commands.append(_ASKING)
            places.append(len(commands))
            commands.append(errand.packed)
        if wanted:
            commands.append(self._replicas.wait(wanted))
        pause_s = self._replicas.pause_s if wanted else 0.0
        replies = await self._nodes.exchange(address, commands, until_s, pause_s=pause_s)
        if is_loading and isinstance(replies[0], Refusal):
            self._nodes.judged(replies[0], address)
            raise Broken(replies[0].text)
        answers = [replies[place] for place in places]
        if wanted and not all(isinstance(answer, Refusal) for answer in answers):
            await self._replicas.require(address, wanted, replies[-1], until_s)
        return answers

    def _refused(self, errand: _Errand, refusal: Refusal, address: Address) -> _Trouble:
        """What an errand was refused for, and where it is sent next."""
        verdict = self._nodes.judged(refusal, address)
        errand.is_unknown = verdict is Verdict.LOAD
        if verdict is Verdict.ASK:
            errand.asked = redirected(refusal.text, address)
        elif verdict is not Verdict.LOAD:  # who is given the library is asked once more
            errand.asked = None
        knowing = redirected(refusal.text, address) if verdict is Verdict.MOVED else None
        return _Trouble(verdict, address, refusal.text, knowing)

    async def _mend(self, troubles: list[_Trouble], topology: Topology, until_s: float) -> _Trouble:
        """Do what can be done about troubles; the one to name if it does not help."""
        by_verdict = {trouble.verdict: trouble for trouble in troubles}
        worst = by_verdict.get(Verdict.AGAIN, troubles[0])
        moved = by_verdict.get(Verdict.MOVED)
        try:
            if moved or worst.verdict is Verdict.AGAIN:
                knowing = moved.knowing if moved else None
                await self._nodes.find(topology, worst.address, knowing, until_s)
        except Broken:
            return worst._replace(verdict=Verdict.AGAIN)
        return worst
