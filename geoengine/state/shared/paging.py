"""Pages that go through the partitions one after another: some at once, while they are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from geoengine.state.shared.partitions import Partitions

_WIDTH: Final = 32  # partitions looked through at once while they are small


class Paging:
    """Walks what the partitions have of one kind.

    The function it calls takes, first, where to go on, "" to begin, and how many are wanted of it;
    it returns where the next ones begin, "" when there are no more, and what it found.
    """

    def __init__(self, partitions: Partitions, function: str) -> None:
        self._partitions = partitions
        self._function = function
        self._width = _WIDTH

    async def page(
        self, start: str, limit: int, *values: Any, count_of: Callable[[list[Any]], int] = len
    ) -> tuple[list[Any], str]:
        """About so many from where the last page said, and what this one says; "" for no more.

        ``values`` are the function's own, and ``count_of`` tells how many of those wanted there are
        in what it found.
        """
        first, _, cursor = start.partition(":")
        number, found, count = int(first or 0), list[Any](), 0
        while number < self._partitions.count and count < limit:
            numbers = range(number, min(number + self._width, self._partitions.count))
            share = -(-limit // len(numbers))
            asked = {p: (cursor if p == number else "", share, *values) for p in numbers}
            replies = await self._partitions.call(self._function, asked)
            for number, (after, items) in replies.items():
                found += items
                count += count_of(items)
                if after:
                    self._width = 1  # they are not small
                    return found, f"{number}:{after.decode()}"
                if count >= limit:
                    break
            number, cursor = number + 1, ""
        return found, f"{number}:" if number < self._partitions.count else ""
