"""One fixture a table of back ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.state.backends import CONCURRENT_WORLDS, WORLDS, World


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """An open state on each back end."""
    async with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture(params=CONCURRENT_WORLDS.values(), ids=CONCURRENT_WORLDS.keys())
async def busy_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """An open state on each back end, for many calls at once."""
    async with request.param(tmp_path) as opened:
        yield opened
