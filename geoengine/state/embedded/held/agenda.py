"""What falls due when: keys ordered by a time that moves often and is asked for rarely."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Agenda:
    """Keys, each with the one moment at which it falls due.

    A deadline usually moves later with every sign of life. Moving it later touches no heap: the
    key is found at its old moment, and put back at the new one only then.
    """

    __slots__ = ("_armed", "_at_ms", "_heap")

    def __init__(self) -> None:
        self._at_ms: dict[str, int] = {}  # the truth
        self._armed: dict[str, int] = {}  # where the heap holds the key; at or before the truth
        self._heap: list[tuple[int, str]] = []  # also holds entries that no longer count

    def __len__(self) -> int:
        return len(self._at_ms)

    def get(self, key: str) -> int | None:
        """When the key falls due; None if never."""
        return self._at_ms.get(key)

    def set(self, key: str, at_ms: int | None) -> None:
        """Let the key fall due at this moment; None for never."""
        if at_ms is None:
            self._at_ms.pop(key, None)
            self._armed.pop(key, None)
            return
        self._at_ms[key] = at_ms
        armed = self._armed.get(key)
        if armed is None or at_ms < armed:
            self._arm(key, at_ms)

    def due(self, now_ms: int, limit: int) -> list[str]:
        """Up to ``limit`` keys due at or before ``now_ms``, the longest overdue first.

        They stay on the agenda: only `set` moves them.
        """
        found: list[tuple[int, str]] = []
        while len(found) < limit and (top := self._top()) is not None and top[0] <= now_ms:
            found.append(heappop(self._heap))
        for item in found:
            heappush(self._heap, item)
        return [key for _, key in found]

    def take(self, now_ms: int, limit: int) -> list[str]:
        """As `due`, and off the agenda with them."""
        found: list[str] = []
        while len(found) < limit and (top := self._top()) is not None and top[0] <= now_ms:
            _, key = heappop(self._heap)
            del self._at_ms[key], self._armed[key]
            found.append(key)
        return found

    def next_ms(self) -> int | None:
        """The earliest moment on the agenda; None if it is empty."""
        top = self._top()
        return None if top is None else top[0]

    def _top(self) -> tuple[int, str] | None:
        """The earliest entry that counts, left on the heap."""
        while self._heap:
            armed_ms, key = self._heap[0]
            if self._armed.get(key) != armed_ms:
                heappop(self._heap)
                continue
            at_ms = self._at_ms[key]
            if at_ms == armed_ms:
                return self._heap[0]
            heappop(self._heap)
            self._armed[key] = at_ms
            heappush(self._heap, (at_ms, key))
        return None

    def _arm(self, key: str, at_ms: int) -> None:
        self._armed[key] = at_ms
        heappush(self._heap, (at_ms, key))
        if len(self._heap) > 2 * len(self._at_ms) + 64:
            self._armed = dict(self._at_ms)
            self._heap = [(moment, name) for name, moment in self._at_ms.items()]
            heapify(self._heap)
