"""The link to the servers: finds who serves a call, sends it there, and says what became of it.

Theory of operation
-------------------
A call is one server-side function with all its keys in one slot. Calls are grouped by server, and
each server's are written in one go on one connection; servers work at the same time. Whatever can
pass is tried again by one explicit loop, with a back-off, until patience ends: then
`StateUnavailable`. Our functions are idempotent, so a call whose reply was lost may be sent again;
nothing below this loop ever sends twice.

The library's text holds the word VERSION where its names need one, and the link puts a hash of the
text there: releases run side by side. A server that does not know a function (a new primary, a
flush) is given the library and asked again.

Durability
----------
A write is acknowledged when enough replicas have it: WAIT follows the calls on the same
connection. How many is said by the URL, or found out. Outside a Cluster: one, if the primary had
one when we connected, and that stays; a replica lost is an operator's business. In a Cluster: one
for every primary that has a replica which the majority has not declared failed. One who only its
own primary misses (``fail?``) counts as alive, for a primary cut off from the majority would
otherwise acknowledge what is lost when that replica is promoted. A primary with replicas is
believed until WAIT falls short; that it has none is believed for a second.

WAIT waits for the last *write of its own connection*, and in Valkey 9 for nothing where there was
none (in Redis 7.0 for all the server had written by then). So a function that is called with
``is_write`` must write something also when it only repeats its first answer: else the answer may
rest on a write that no replica has.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from geoengine.core.errors import ConfigurationError, Fault, StateUnavailable
from geoengine.state.shared.refusals import Verdict, judge
from geoengine.state.shared.topology import (
    Topology,
    has_replica,
    read_slots,
    redirected,
    slot_of,
)
from geoengine.state.shared.urls import Address, parse_url
from geoengine.state.shared.wire import (
    FIRST_WAIT_S,
    LAST_WAIT_S,
    Broken,
    Refusal,
    Server,
    Unwelcome,
    Words,
    jittered_s,
)

CONNECTIONS: Final = 8  # a server; more would only queue there instead of here
PATIENCE_S: Final = 5.0
TIMEOUT_S: Final = 2.0  # for the answers of one exchange; a function runs for milliseconds
WAIT_MS: Final = 1_000  # for replicas to acknowledge; they take one round trip when they are well
PROMPT_ROUNDS: Final = 3  # so often in a row may a call be sent elsewhere without a pause
_NOBODY: Final = "nobody serves a slot"
NEWS_S: Final = 1.0  # how long a primary without replicas is believed to have none


class Call(NamedTuple):
    """A server-side function to be run: its name without version, its keys (one slot), the rest."""

    function: str
    keys: tuple[str, ...]
    args: tuple[bytes | str | int, ...]


class LibraryFault(AssertionError):
    """Our fault: a function failed, or a server makes no sense of what it was sent."""


@dataclass(slots=True)
class _Errand:
    """One command on its way."""

    words: Words
    slot: int
    asked: Address | None = None  # who takes it this once, though the slot is not yet theirs
    reply: Any = None
    is_done: bool = False


class _Trouble(NamedTuple):
    """Why an errand must be run again, at whose fault, and who may know better."""

    verdict: Verdict
    address: Address
    text: str


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
        """Raises `ConfigurationError` for a bad URL. ``names`` are the library's functions."""
        self._target = parse_url(url)
        self.is_cluster = self._target.is_cluster
        self.prefix = self._target.prefix
        self.version = hashlib.sha256(library.encode()).hexdigest()[:10]
        self._library = library.replace("VERSION", self.version)
        self._names = {name: f"{name}_{self.version}".encode() for name in names}
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._wait_ms = wait_ms
        self._connections = connections
        self._rng = rng or random.Random()
        self._servers: dict[Address, Server] = {}
        self._topology = Topology.single(self._target.seeds[0])
        self._is_open = False
        self._reading = asyncio.Lock()
        # How many replicas must have a write; None: as many as the primary says it has, up to one.
        self._wanted = self._target.replicas
        self._replicas: dict[Address, tuple[bool, float]] = {}  # has one, and when it said so

    async def open(self) -> None:
        """Find the servers. Raises `StateUnavailable`, or `ConfigurationError` if they are others.

        A single server that is a replica is none to write to: that too is `StateUnavailable`.
        """
        self._is_open = True
        try:
            await (self._open_cluster() if self.is_cluster else self._open_single())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections. Does nothing the second time."""
        self._is_open = False
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await server.close()

    async def call(self, calls: Sequence[Call], *, is_write: bool) -> list[Any]:
        """Run functions, all at once and in no order between them; their replies in order.

        Raises `StateUnavailable` when patience ends or no waiting would help: then some of the
        calls may have been done and some not. Raises `LibraryFault` when a function fails.
        """
        names = self._names
        errands = [
            _Errand(
                (b"FCALL", names[call.function], len(call.keys), *call.keys, *call.args),
                slot_of(call.keys[0]) if call.keys else 0,
            )
            for call in calls
        ]
        return await self._run(errands, is_write=is_write)

    async def command(self, *words: bytes | str | int, key: str | None = None) -> Any:
        """One command, where the key is or to the first primary; it may be sent more than once."""
        slot = 0 if key is None else slot_of(key)
        return (await self._run([_Errand(words, slot)], is_write=False))[0]

    async def everywhere(self, *words: bytes | str | int) -> dict[str, Any]:
        """One command to every primary: its replies by address."""
        primaries = self._topology.primaries()
        errands = [_Errand(words, slot) for slot in primaries.values()]
        replies = await self._run(errands, is_write=False)
        return dict(zip(map(str, primaries), replies, strict=True))

    async def _open_single(self) -> None:
        reply = await self.command("INFO")
        lines = (line.partition(":") for line in reply.decode().splitlines())
        info = {name: text for name, _, text in lines}
        if info.get("redis_mode") == "cluster":
            raise _misnamed("the server is part of a Cluster; expected redis+cluster://")
        if info.get("role") != "master":
            raise self._unavailable(self._target.seeds[0], "it is a replica, not a primary")
        if self._target.replicas is None:
            self._wanted = int(info.get("connected_slaves", "0") != "0")

    async def _open_cluster(self) -> None:
        self._topology = Topology((None,), self._target.seeds)
        await self.command("PING")

    async def _run(self, errands: list[_Errand], *, is_write: bool) -> list[Any]:
        """Run errands until all are done or patience ends."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience_s
        wait_s = FIRST_WAIT_S
        prompt = PROMPT_ROUNDS
        pending = errands
        while pending:
            if not self._is_open:
                raise StateUnavailable("the link to the state is closed")
            topology = self._topology
            troubles = await self._round(pending, topology, until_s, is_write=is_write)
            pending = [errand for errand in pending if not errand.is_done]
            if not pending:
                break
            trouble = await self._mend(troubles, topology, until_s)
            is_prompt = prompt > 0 and trouble.verdict is not Verdict.AGAIN
            prompt -= 1
            left_s = until_s - loop.time()
            if left_s <= 0:
                raise self._unavailable(
                    trouble.address, f"{trouble.text} (tried for {self._patience_s:g} s)"
                )
            if not is_prompt:
                await asyncio.sleep(min(jittered_s(wait_s, self._rng), left_s))
                wait_s = min(2 * wait_s, LAST_WAIT_S)
        return [errand.reply for errand in errands]

    async def _round(
        self, pending: list[_Errand], topology: Topology, until_s: float, *, is_write: bool
    ) -> list[_Trouble]:
        """Visit every server that has something to do, all at the same time."""
        by_address: dict[Address, list[_Errand]] = {}
        troubles = []
        slots = topology.slots
        for errand in pending:
            address = errand.asked or slots[errand.slot % len(slots)]
            if address is None:
                troubles = [_Trouble(Verdict.MOVED, topology.servers[0], _NOBODY)]
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
        server = self._server(address)
        try:
            wanted = await self._replicas_wanted(server, until_s) if is_write else 0
            replies = await self._exchange(server, errands, wanted, until_s)
        except Broken as broken:
            for errand in errands:
                errand.asked = None
            return [_Trouble(Verdict.AGAIN, address, str(broken))]
        except Unwelcome as unwelcome:
            raise self._unavailable(address, str(unwelcome)) from None
        troubles = []
        for errand, reply in zip(errands, replies, strict=True):
            errand.asked = None
            if isinstance(reply, Refusal):
                trouble = self._judged(reply, address)
                if trouble.verdict is Verdict.ASK:
                    errand.asked = redirected(trouble.text, address)
                troubles.append(trouble)
            else:
                errand.reply, errand.is_done = reply, True
        return troubles

    async def _exchange(
        self, server: Server, errands: list[_Errand], wanted: int, until_s: float
    ) -> list[Any]:
        """The errands' replies, all of them held by as many replicas as wanted."""
        commands: list[Words] = []
        places = []
        for errand in errands:
            if errand.asked:
                commands.append((b"ASKING",))
            places.append(len(commands))
            commands.append(errand.words)
        if wanted:
            commands.append((b"WAIT", wanted, self._wait_ms))
        pause_s = self._wait_ms / 1_000 if wanted else 0.0
        replies = await server.exchange(commands, until_s, pause_s=pause_s)
        if wanted:
            await self._require_held(server, wanted, replies[-1], until_s)
        return [replies[place] for place in places]

    async def _require_held(self, server: Server, wanted: int, held: Any, until_s: float) -> None:
        """Raise unless so many replicas hold the calls, or there is none to hold them."""
        if isinstance(held, Refusal):
            raise Broken(self._judged(held, server.address).text)
        if held < wanted and await self._has_replica(server, until_s):
            text = f"{held} of {wanted} replicas acknowledged within {self._wait_ms} ms"
            raise self._unavailable(server.address, text)

    async def _replicas_wanted(self, server: Server, until_s: float) -> int:
        """How many replicas must hold what this server is about to write."""
        if self._wanted is not None:
            return self._wanted
        has_one, said_s = self._replicas.get(server.address, (False, -NEWS_S))
        if has_one or asyncio.get_running_loop().time() - said_s < NEWS_S:
            return int(has_one)
        return int(await self._has_replica(server, until_s))

    async def _has_replica(self, server: Server, until_s: float) -> bool:
        """Whether a replica is to be waited for, by the server's own account."""
        if self._wanted is not None:
            return True
        (nodes,) = await server.exchange([(b"CLUSTER", b"NODES")], until_s)
        if isinstance(nodes, Refusal):
            raise Broken(self._judged(nodes, server.address).text)
        has_one = has_replica(nodes.decode())
        self._replicas[server.address] = (has_one, asyncio.get_running_loop().time())
        return has_one

    async def _mend(self, troubles: list[_Trouble], topology: Topology, until_s: float) -> _Trouble:
        """Do what can be done about troubles; the one to name if it does not help."""
        worst = next((each for each in troubles if each.verdict is Verdict.AGAIN), troubles[0])
        for address in {each.address for each in troubles if each.verdict is Verdict.LOAD}:
            await self._load(address, until_s)
        moved = next((each for each in troubles if each.verdict is Verdict.MOVED), None)
        if self.is_cluster and (moved or worst.verdict is Verdict.AGAIN):
            try:
                await self._find(topology, worst.address, moved, until_s)
            except Broken:
                return worst._replace(verdict=Verdict.AGAIN)
        return worst

    async def _load(self, address: Address, until_s: float) -> None:
        """Give a server the library; if it cannot take it now, the next round finds out."""
        load: Words = (b"FUNCTION", b"LOAD", b"REPLACE", self._library)
        try:
            (reply,) = await self._server(address).exchange([load], until_s)
        except Broken:
            return
        except Unwelcome as unwelcome:
            raise self._unavailable(address, str(unwelcome)) from None
        if isinstance(reply, Refusal):
            self._judged(reply, address)

    async def _find(
        self, seen: Topology, doubted: Address, moved: _Trouble | None, until_s: float
    ) -> None:
        """Read the topology anew, unless somebody has since: the doubted server is asked last."""
        async with self._reading:
            if self._topology is not seen:
                return
            others = list(dict.fromkeys((*seen.servers, *self._target.seeds)))
            self._rng.shuffle(others)
            others.sort(key=lambda address: address == doubted)
            if moved is not None and moved.text is not _NOBODY:
                others.insert(0, redirected(moved.text, moved.address))
            self._topology = await self._first_account(others, until_s)
            kept = {*self._topology.servers, *self._target.seeds}
            for address in self._servers.keys() - kept:
                await self._servers.pop(address).close()

    async def _first_account(self, addresses: list[Address], until_s: float) -> Topology:
        """The topology by the first server that answers."""
        failure = Broken("no server of the Cluster answers")
        for address in addresses:
            try:
                (reply,) = await self._server(address).exchange([(b"CLUSTER", b"SLOTS")], until_s)
            except Broken as broken:
                failure = broken
                continue
            except Unwelcome as unwelcome:
                raise self._unavailable(address, str(unwelcome)) from None
            if not isinstance(reply, Refusal):
                return read_slots(reply, address)
            if reply.text.startswith("ERR This instance has cluster support disabled"):
                raise _misnamed("the server is no part of a Cluster; expected redis://")
            self._judged(reply, address)
        raise failure

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = Server(
                address,
                self._target,
                connections=self._connections,
                timeout_s=self._timeout_s,
                rng=self._rng,
            )
        return server

    def _judged(self, refusal: Refusal, address: Address) -> _Trouble:
        """What a refusal means, if it can pass; else it is raised."""
        verdict = judge(refusal.text)
        if verdict is Verdict.REFUSED:
            raise self._unavailable(address, refusal.text)
        if verdict is Verdict.FAULT:
            raise LibraryFault(self._target.hide(f"{address}: {refusal.text}"))
        return _Trouble(verdict, address, refusal.text)

    def _unavailable(self, address: Address, text: str) -> StateUnavailable:
        return StateUnavailable(self._target.hide(f"{address}: {text}"))


def _misnamed(what: str) -> ConfigurationError:
    return ConfigurationError([Fault("state", 1, 1, f"the URL: {what}")])
