"""Operation ids: what has been done already, and what is being done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import blake2b

from geoengine.state.embedded.writes import OPS_KEPT_COUNT, OPS_KEPT_MS


def digest(op_id: str) -> bytes:
    """Sixteen bytes in place of an operation id, which may name somebody; none for none."""
    return blake2b(op_id.encode(), digest_size=16).digest() if op_id else b""


class OpLog:
    """Digests of operations done, bounded by age and count, and futures of those in flight."""

    def __init__(self) -> None:
        self._done: dict[bytes, int] = {}  # oldest first
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}

    def load(self, ops: Iterable[tuple[bytes, int]]) -> None:
        """What was done before the restart."""
        self._done.update(ops)

    def is_done(self, op: bytes) -> bool:
        """Whether the operation has had its effect."""
        return op in self._done

    def in_flight(self, op: bytes) -> asyncio.Future[None] | None:
        """The same operation, if it is under way."""
        return self._in_flight.get(op)

    def begin(self, op: bytes) -> asyncio.Future[None]:
        """The operation is under way; the future hears how it ends."""
        future = asyncio.get_running_loop().create_future()
        if op:
            self._in_flight[op] = future
        return future

    def succeed(self, op: bytes, future: asyncio.Future[None], now_ms: int) -> None:
        """The operation is done."""
        if op:
            del self._in_flight[op]
            self._done[op] = now_ms
            if len(self._done) > OPS_KEPT_COUNT:
                del self._done[next(iter(self._done))]
        future.set_result(None)

    def fail(self, op: bytes, future: asyncio.Future[None], error: Exception) -> None:
        """The operation had no effect, and may be tried again."""
        if op:
            del self._in_flight[op]
        future.set_exception(error)
        future.exception()  # whoever waits still gets it; nobody need wait

    def trim(self, now_ms: int) -> None:
        """Forget those older than they are kept."""
        horizon_ms = now_ms - OPS_KEPT_MS
        self._done = {op: at_ms for op, at_ms in self._done.items() if at_ms >= horizon_ms}
