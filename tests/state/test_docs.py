"""What the page on the shared state says of its user is enough."""

from __future__ import annotations

from pathlib import Path

from geoengine.core.record import Record
from geoengine.state.base import Card
from geoengine.state.redis import RedisState
from tests.servers.server import Server, needed
from tests.state.samples import commit_of, decision, last, send, write

PAGE = Path(__file__).parents[2] / "docs" / "shared-state.md"


async def test_the_user_of_the_page_may_do_all_that_the_state_does(tmp_path: Path):
    (line,) = (line for line in PAGE.read_text().splitlines() if line.startswith("ACL SETUSER"))
    with Server(directory=tmp_path, binary=needed("valkey"), appendonly="always") as server:
        server.call(*line.split())
        state = RedisState(f"redis://geoengine:PASSWORD@{server.address}", partition_count=4)
        await state.open()
        assert not any("CONFIG GET" in why for why in state.concerns)
        await write(
            state,
            Record("ann"),
            sends=(send("s1", "ann", due_ms=0),),
            decisions=(decision("ann", 1),),
            aliases={"phone": "ann"},
        )
        await state.commit(commit_of(last=last(1, "a", "b")))
        rows = await state.lease(5, 5, "w", 10)
        await state.begin(rows)
        await state.settle([], "w", 1)
        await state.note("x", b"1")
        await state.put_card(Card("code/1", b"x", owner="ann", until_ms=1), 1)
        await state.cards_from("code/")
        await state.cards_of("ann")
        await state.sends_of("ann")
        await state.history(0, 9)
        await state.erase("ann", 1)
        await state.trim(1, 1)
        await state.stats()
        await state.close()
        assert server.call("ACL", "LOG") == []
