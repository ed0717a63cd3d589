"""The garbage collector while a loop runs: told to look seldom.

Nothing in the loop makes cycles, and up to two fifths of a batch's time went into finding none. A
look at everything would also stand in the way of everybody for as long as a large catalogue takes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects born between two looks at the young ones: what libraries leave is found in time.
_YOUNG_COUNT = 200_000


@contextmanager
def rare_collection() -> Iterator[None]:
    """Let the collector look seldom, and never again at what is there already."""
    before = gc.get_threshold()
    gc.collect()
    keep()
    gc.set_threshold(_YOUNG_COUNT, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def keep() -> None:
    """Let the collector never look at what is there by now: a catalogue just taken into use."""
    gc.freeze()
