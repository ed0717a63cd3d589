"""The doors that pings and sightings come in by: what holds for one holds for the other."""

from __future__ import annotations

import pytest

from tests.service.serving import DOORS


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    """One door after the other."""
    return str(request.param)
