"""The embedded state's history, read while others commit: in pages that hold nobody up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from geoengine.core.record import Decision
from geoengine.service.reports.gather import gather
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.state.samples import decision

MANY = 30_000
SOON_MS = MANY + 5  # behind everybody else's


async def opened(path: Path, *decisions: Decision) -> LocalState:
    state = LocalState(path)
    await state.open()
    await state.commit(Commit("", decisions=decisions, now_ms=0))
    return state


@pytest.mark.parametrize("is_filed", [True, False])
async def test_no_page_looks_through_more_than_so_many_however_few_it_finds(
    tmp_path: Path, is_filed: bool
):
    ends = {0: 7, MANY - 1: 8}  # the first and the last are of the time asked for
    decisions = [decision(f"p{ix % 9}", ends.get(ix, 500)) for ix in range(MANY)]
    state = await opened(tmp_path / "state.db", *decisions)
    if is_filed:
        await state.close()
        state = await opened(tmp_path / "state.db")
    pages = [await state.history(0, 10)]
    while pages[-1].next:
        pages.append(await state.history(0, 10, pages[-1].next))
    found = [one.at_ms for page in pages for one in page.items]
    assert found == [7, 8]
    assert max(len(page.items) for page in pages) == 1  # never both in one
    await state.close()


async def test_commits_land_between_the_pages_of_a_report(tmp_path: Path):
    decisions = (decision(f"p{ix % 9}", ix) for ix in range(MANY))
    state = await opened(tmp_path / "state.db", *decisions)
    report, landed = asyncio.ensure_future(gather(state, 0, SOON_MS)), 0
    while not report.done():
        await state.commit(Commit("", decisions=(decision("late", SOON_MS - 1),), now_ms=0))
        landed += not report.done()
    assert landed > 5
    told = await report
    assert MANY <= told.row_count <= MANY + landed  # and it ends, however many come meanwhile
    await state.close()
