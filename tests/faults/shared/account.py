"""What became of every message: read from the state itself, when nobody works on it any more."""

from __future__ import annotations

from collections import Counter

from geoengine.state.base import SentRow
from geoengine.state.redis import RedisState
from tests.faults.ledger import Ledger

ENDS = frozenset({"delivered", "refused"})  # no campaign lasts long enough for any other


async def account(ledger: Ledger, state_url: str) -> None:
    """Each message has ended, once, and as the receiver knows it."""
    rows = await _rows(state_url)
    ledger.seen.update(Counter(row.status for row in rows))
    sends = {row.send.send_id: row for row in rows}
    ledger.check(len(sends) == len(rows), f"{len(rows)} rows of {len(sends)} messages")
    for person_id, ids in ledger.started.items():
        for send_id in ids - sends.keys():
            ledger.check(False, f"{person_id}: sent, and nobody knows {send_id}")
    for row in rows:
        _check(ledger, row)


def _check(ledger: Ledger, row: SentRow) -> None:
    name, ids = row.send.person_id, ledger.started.get(row.send.person_id, set())
    ledger.check(row.status in ENDS, f"{name}: {row.status} {row.reason}")
    if row.status == "delivered":
        ledger.check(row.send.send_id in ids & ledger.taken, f"{name}: delivered to nobody")
    if row.status == "refused":
        is_meant = row.reason.startswith("consent_withdrawn") and name.startswith("stopped")
        ledger.check(is_meant, f"{name}: refused for {row.reason}")


async def _rows(state_url: str) -> list[SentRow]:
    state = RedisState(state_url)
    await state.open()
    try:
        return await state.sends(limit=1 << 30)
    finally:
        await state.close()
