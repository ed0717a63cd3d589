"""A name server for tests: what a name resolves to is the test's to say."""

from __future__ import annotations

import socket
from itertools import count

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """A name server that answers each question with the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = answers
        self._turn = count()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of any name."""
        addresses = self._answers[min(next(self._turn), len(self._answers) - 1)]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""
