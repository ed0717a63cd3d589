"""The garbage collector, told to look seldom."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects born between two looks at the young ones. Nothing in the loop makes cycles, and a third
# to two fifths of a batch's time went into finding none; what libraries leave is found in time.
_YOUNG_COUNT = 200_000


@contextmanager
def rare_collection() -> Iterator[None]:
    """Let the collector look seldom, and never again at what is there already: the catalogue."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_COUNT, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
