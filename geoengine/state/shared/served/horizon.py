"""What falls due next in the partitions that this process serves, as far as it has looked.

Asking every partition each time would cost more than the answer is worth: what others have put
there is seen `LOOK_AGAIN_S` later; what this process puts there it knows. A partition may seem to
have something earlier than it has: who finds nothing there says so (`touch`), and it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.served.leases import Leases

LOOK_AGAIN_S: Final = 0.2
NEVER_MS: Final = 1 << 62
FEW: Final = 8


class Next(NamedTuple):
    """When the first deadline and the first row of a partition fall due."""

    due_ms: int
    wait_ms: int


class Moment(NamedTuple):
    """Something will fall due in a partition: a deadline, or a row."""

    number: int
    due_ms: int | None
    wait_ms: int | None


class Horizon:
    """Deadlines and rows, by partition."""

    def __init__(self, partitions: Partitions, leases: Leases) -> None:
        self._partitions = partitions
        self._leases = leases
        self._next: dict[int, Next] = {}
        self._touched: set[int] = set()
        self._looked_s = -LOOK_AGAIN_S

    def touch(self, numbers: Iterable[int]) -> None:
        """Something has changed in these."""
        self._touched.update(numbers)

    def expect(self, moments: Iterable[Moment]) -> None:
        """These have been put there."""
        for number, due_ms, wait_ms in moments:
            if (known := self._next.get(number)) is not None:
                self._next[number] = Next(
                    known.due_ms if due_ms is None else min(known.due_ms, due_ms),
                    known.wait_ms if wait_ms is None else min(known.wait_ms, wait_ms),
                )

    async def look(self) -> dict[int, Next]:
        """What falls due next, by partition held."""
        held, now_s = self._leases.held, asyncio.get_running_loop().time()
        if now_s >= self._looked_s + LOOK_AGAIN_S:
            self._looked_s, asked = now_s, set(held)
            self._next = {p: self._next[p] for p in held if p in self._next}
        else:
            asked = {p for p in held if p in self._touched or p not in self._next}
        if asked:
            self._touched -= asked
            found = await self._partitions.call("sweep", dict.fromkeys(asked, ()))
            self._next |= {p: Next(_ms(due), _ms(wait)) for p, (due, wait) in found.items()}
        return {p: self._next[p] for p in held if p in self._next}

    async def late(
        self, function: str, numbers: list[int], now_ms: int, limit: int
    ) -> list[tuple[float, str, int]]:
        """Moment, name and partition of what fell due in these, in order; at most so many."""
        if not numbers:
            return []
        # Of many partitions a share each: which are the very oldest matters among few.
        share = limit if len(numbers) <= FEW else max(4 * limit // len(numbers), FEW)
        replies = await self._partitions.call(function, dict.fromkeys(numbers, (now_ms, share)))
        found = [
            (float(at_ms), name.decode(), number)
            for number, told in replies.items()
            for name, at_ms in zip(told[::2], told[1::2], strict=True)
        ]
        self.touch(number for number, told in replies.items() if not told)
        return sorted(found)[:limit]


def _ms(told: bytes) -> int:
    return int(float(told)) if told else NEVER_MS
