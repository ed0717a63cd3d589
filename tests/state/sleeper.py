"""A process that says how many partitions it holds, again and again; tests put it to sleep.

``python -m tests.state.sleeper URL``
"""

from __future__ import annotations

import asyncio
import os
import sys

from geoengine.state.redis import RedisState
from tests.state.sharing import PARTITIONS, held_by

_EVERY_S = 0.05


async def main(url: str) -> None:
    """Say it for ever."""
    state = RedisState(url, partition_count=PARTITIONS)
    await state.open()
    while True:
        os.write(1, f"{state.process} {len(held_by(state))}\n".encode())
        await asyncio.sleep(_EVERY_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
