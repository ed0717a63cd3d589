"""One server and the connections to it: the only file that knows redis-py and hiredis.

redis-py's connection shakes hands (users, TLS) and hiredis packs and parses; pools, pipelines,
Cluster client and retries of redis-py are not used: they send again by themselves, hand out
connections with replies left in them, and cost three times as much. A connection carries one
exchange at a time, written in one go and read in order; one that is cut short for any reason is
thrown away with whatever it still holds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import hiredis
from redis.asyncio import connection as redis_py
from redis.exceptions import RedisError, ResponseError

from geoengine.state.shared.line.refusals import Verdict, judge
from geoengine.state.shared.line.urls import Address, Target

Word = bytes | str | int
Words = tuple[Word, ...]
pack: Callable[[Words], bytes] = hiredis.pack_command  # type: ignore[assignment]  # says one word

FIRST_WAIT_S: Final = 0.02
LAST_WAIT_S: Final = 1.0
FEW: Final = (
    16  # keys that are kept packed together; more are those of several partitions, in any mix
)


class Broken(Exception):
    """No connection, or one that was cut or fell silent: what was sent may have happened or not."""


class Unwelcome(Exception):
    """The server does not let us in, and will not until an operator does something."""


class Refusal(ResponseError):
    """A server's error reply, whole: its code, then its text."""

    @property
    def text(self) -> str:
        return str(self.args[0])


class _Parser(redis_py.DefaultParser):  # type: ignore[valid-type,misc]
    """Keeps the words of an error reply, which redis-py's own classes take apart."""

    @classmethod
    def parse_error(cls, response: str) -> Refusal:
        return Refusal(response)


def _packed(word: Word) -> bytes:
    text = word if isinstance(word, bytes) else str(word).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


_packed_key = lru_cache(maxsize=65_536)(_packed)  # sixteen keys for each of 4,096 partitions


@lru_cache(maxsize=8_192)
def _packed_few(keys: tuple[str, ...]) -> bytes:
    return b"".join(map(_packed_key, keys))


def pack_call(name: bytes, keys: tuple[str, ...], args: Words) -> bytes:
    """A call of a server-side function, packed.

    The same keys are named over and over, a partition's always together: to keep them packed
    spares half to two thirds of what hiredis takes.
    """
    count = 3 + len(keys) + len(args)
    opening = b"*%d\r\n$5\r\nFCALL\r\n%b%b" % (count, _packed_key(name), _packed_key(len(keys)))
    named = _packed_few(keys) if len(keys) <= FEW else b"".join(map(_packed_key, keys))
    return b"".join([opening, named, *map(_packed, args)])


def jittered_s(wait_s: float, rng: random.Random) -> float:
    """Somewhere in the upper half of a wait, so that many who wait do not come back at once."""
    return rng.uniform(wait_s / 2, wait_s)


class Server:
    """A server, and a bounded number of connections to it, opened when they are needed.

    One connection is opened at a time, and after a failure none for a while, however many callers
    wait: a server that comes back is not stormed.
    """

    def __init__(
        self,
        address: Address,
        target: Target,
        *,
        connections: int,
        timeout_s: float,
        rng: random.Random,
    ) -> None:
        self.address = address
        self.is_closed = False
        self._target = target
        self._timeout_s = timeout_s
        self._rng = rng
        self._idle: list[Any] = []
        self._free = asyncio.Semaphore(connections)
        self._opening = asyncio.Lock()
        self._failure = ""
        self._wait_s = 0.0
        self._not_before_s = 0.0  # in the loop's time

    async def exchange(
        self, commands: Sequence[bytes], until_s: float, *, pause_s: float = 0.0
    ) -> list[Any]:
        """Send packed commands and read their replies, `Refusal`s among them.

        Waits for a free connection until ``until_s`` of the loop's time; ``pause_s`` is how long
        the commands may block. Raises `Broken` or `Unwelcome`.
        """
        await self._wait_for_one(until_s)
        try:
            connection = await self._take()
            is_whole = False
            try:
                async with asyncio.timeout(self._timeout_s + pause_s):
                    await connection.send_packed_command(b"".join(commands), check_health=False)
                    replies = [await _reply(connection) for _ in commands]
                is_whole = True
            except TimeoutError:
                raise Broken(f"no answer within {self._timeout_s + pause_s:g} s") from None
            except (RedisError, OSError) as error:
                await self._drop_idle()  # whatever cut this one has cut its neighbours
                raise Broken(_reason(error)) from None
            finally:
                if is_whole and not self.is_closed:
                    self._idle.append(connection)
                else:
                    await _discard(connection)
        finally:
            self._free.release()
        return replies

    async def close(self) -> None:
        """Close what is idle now, and what is busy as soon as it is idle."""
        self.is_closed = True
        idle, self._idle = self._idle, []
        goodbyes = [connection.disconnect() for connection in idle]
        await asyncio.gather(*goodbyes, return_exceptions=True)

    async def _wait_for_one(self, until_s: float) -> None:
        try:
            async with asyncio.timeout_at(until_s):
                await self._free.acquire()
        except TimeoutError:
            raise Broken("every connection to it is busy") from None

    async def _take(self) -> Any:
        """An idle connection, or a new one."""
        if self._idle:
            return self._idle.pop()
        async with self._opening:
            if self._idle:
                return self._idle.pop()
            loop = asyncio.get_running_loop()
            if loop.time() < self._not_before_s:
                raise Broken(self._failure)
            try:
                connection = await self._connect()
            except Broken as broken:
                self._failure = str(broken)
                self._wait_s = min(max(2 * self._wait_s, FIRST_WAIT_S), LAST_WAIT_S)
                self._not_before_s = loop.time() + jittered_s(self._wait_s, self._rng)
                raise
            self._wait_s = 0.0
            return connection

    async def _connect(self) -> Any:
        connection = self._made()
        is_whole = False
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
            is_whole = True
        except TimeoutError:
            raise Broken(f"no connection within {self._timeout_s:g} s") from None
        except (RedisError, OSError) as error:
            # Over a socket's path redis-py wraps what is refused in an error of its own.
            refusal = error if isinstance(error, Refusal) else error.__cause__
            if isinstance(refusal, Refusal) and judge(refusal.text) is not Verdict.AGAIN:
                raise Unwelcome(refusal.text) from None
            raise Broken(_reason(error)) from None
        finally:
            if not is_whole:
                await _discard(connection)
        return connection

    def _made(self) -> Any:
        """A connection not yet open. RESP2: functions answer in it, and no pushes come between."""
        target = self._target
        options: dict[str, Any] = {
            "username": target.user,
            "password": target.password,
            "db": target.db,
            "protocol": 2,
            "parser_class": _Parser,
            "socket_timeout": None,  # one deadline for an exchange, not one a reply
            "socket_connect_timeout": self._timeout_s,
        }
        if not self.address.port:
            return redis_py.UnixDomainSocketConnection(path=self.address.host, **options)
        options |= {"host": self.address.host, "port": self.address.port}
        if target.tls is None:
            return redis_py.Connection(**options)
        return redis_py.SSLConnection(**options, **target.tls)  # type: ignore[arg-type]

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await _discard(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except Refusal as refusal:
        return refusal


async def _discard(connection: Any) -> None:
    """Close without waiting: there is nothing to say goodbye to."""
    await connection.disconnect(nowait=True)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
