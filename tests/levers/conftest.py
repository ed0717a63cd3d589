"""Fixtures of the levers' tests."""

from __future__ import annotations

import time

import pytest


@pytest.fixture
def now_s() -> int:
    """The present: the reference package that verifies signatures looks at the clock itself."""
    return int(time.time())
