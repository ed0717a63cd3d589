"""One fixture: each server there is."""

from __future__ import annotations

import pytest

from tests.servers.server import needed


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> str:
    """A server's program; a machine without it skips the row."""
    return needed(request.param)
