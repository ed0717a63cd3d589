"""What audiences may ask about somebody beside the attributes that a CRM told.

Facts that end by themselves (a basket), and what the engine has seen: visits to the shop that the
campaign speaks about, and to any (``_anywhere``). Visits are those that `attendance` finds proof
of, once they are over: who stands in the shop for the first time has no visit yet.

=========================  ======================================================================
``visits``                 how many so far
``is_first_visit``         whether there was none yet: now is the moment for a welcome
``days_since_visit``       whole days since the last one began; null for none
``first_visit_days_ago``   whole days since the first one began; null for none
``basket``                 whether something was left in a basket
``basket_value``           what that is worth, in the currency of who told; null for not told
``basket_items``           how many things are in it; null for not told
=========================  ======================================================================

These names stand before attributes of the same name. Nothing of it is worked out for expressions
that do not ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from geoengine.core.record import Json, Record, Visited
from geoengine.core.units import DAY_MS

BASKET: Final = "basket"  # among the facts that end by themselves
ANYWHERE: Final = "_anywhere"
_OF_VISITS: Final = ("visits", "is_first_visit", "days_since_visit", "first_visit_days_ago")
VISIT_FACTS: Final = frozenset(_OF_VISITS) | {name + ANYWHERE for name in _OF_VISITS}
BASKET_FACTS: Final = frozenset({BASKET, "basket_value", "basket_items"})
FACTS: Final = VISIT_FACTS | BASKET_FACTS
# Shops that somebody came into and that are remembered; one more, and the one not seen for longest
# goes. Who comes to more is no customer but a courier, and a record stays some kilobytes.
VISITED_MAX: Final = 200


def standing(record: Record, store_id: str, now_ms: int, names: Set[str] | None = None) -> Json:
    """Everything an expression that asks for these names (None: for any) may know of somebody."""
    asked = FACTS if names is None else names & FACTS
    if not asked:
        return record.attributes
    found: Json = dict(record.attributes)
    if asked & BASKET_FACTS:
        found |= _basket(record, now_ms)
    if asked & VISIT_FACTS:
        here = record.visited.get(store_id)
        found |= _visits("", [here] if here else [], now_ms)
        found |= _visits(ANYWHERE, record.visited.values(), now_ms)
    return found


def _visits(ending: str, visited: Iterable[Visited], now_ms: int) -> Json:
    known = [*visited]
    count = sum(one.visit_count for one in known)
    first_ms = min((one.first_ms for one in known), default=now_ms)
    last_ms = max((one.last_ms for one in known), default=now_ms)
    return {
        "visits" + ending: count,
        "is_first_visit" + ending: count == 0,
        "days_since_visit" + ending: _days(last_ms, now_ms) if known else None,
        "first_visit_days_ago" + ending: _days(first_ms, now_ms) if known else None,
    }


def _days(since_ms: int, now_ms: int) -> int:
    return max(now_ms - since_ms, 0) // DAY_MS


def _basket(record: Record, now_ms: int) -> Json:
    left = _left(record, now_ms)
    return {
        BASKET: left is not None,
        "basket_value": None if left is None else left.get("value"),
        "basket_items": None if left is None else left.get("items"),
    }


def basket_url(record: Record, now_ms: int) -> str:
    """Where somebody's basket waits for them; "" for none."""
    left = _left(record, now_ms) if record.timed else None
    return "" if left is None else str(left.get("url") or "")


def _left(record: Record, now_ms: int) -> Json | None:
    timed = record.timed.get(BASKET)
    return timed.value if timed is not None and now_ms < timed.until_ms else None


def came(record: Record, store_id: str, since_ms: int) -> None:
    """Note a visit that is over, by when it began."""
    known = record.visited.pop(store_id, None)
    record.visited[store_id] = (
        Visited(1, since_ms, since_ms)
        if known is None
        else Visited(
            known.visit_count + 1, min(known.first_ms, since_ms), max(known.last_ms, since_ms)
        )
    )
    if len(record.visited) > VISITED_MAX:
        del record.visited[min(record.visited, key=lambda store: record.visited[store].last_ms)]
