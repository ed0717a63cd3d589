"""What ends by itself and is then forgotten: facts with an end, and orders kept no longer."""

from __future__ import annotations

from typing import Final

from geoengine.core.record import Record

TIMED, ORDER = "end_timed", "end_order"
KINDS: Final = frozenset({TIMED, ORDER})


def next_end(record: Record) -> tuple[int, str, str] | None:
    """What ends next, on our clock: when, what, and its name."""
    ends = [(timed.until_ms, TIMED, name) for name, timed in record.timed.items()]
    ends += [(order.until_ms, ORDER, order_id) for order_id, order in record.orders.items()]
    return min(ends, default=None)


def end(record: Record, what: str, name: str) -> None:
    """Forget it."""
    kept: dict[str, object] = record.timed if what == TIMED else record.orders  # type: ignore[assignment]
    del kept[name]
