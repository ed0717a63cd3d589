"""What the outbox holds of a person, as they may have it."""

from __future__ import annotations

from typing import Final

from geoengine.core.calendar import rfc3339
from geoengine.core.telling import staff
from geoengine.service.http.wire import MessageOut
from geoengine.state import amending
from geoengine.state.base import SentRow, State

# Kept for a week, so some 140 a day, webhooks included; more would be megabytes in one answer.
EXPORTED_MESSAGES: Final = 1_000


async def messages(state: State, person_id: str) -> tuple[list[MessageOut], bool]:
    """The newest messages, on their way or ended; and whether these are all."""
    rows = await amending.sends(state, person_id, EXPORTED_MESSAGES + 1)
    told = [_told(row) for row in rows[:EXPORTED_MESSAGES]]
    return told, len(told) == len(rows)


def _told(row: SentRow) -> MessageOut:
    send = row.send
    return MessageOut(
        send_id=send.send_id,
        kind=send.kind,
        lever=send.lever,
        # The token of a shop's own device is no data of the person, and a secret of the shop's.
        address="" if send.lever == staff.LEVER else send.address,
        status=row.status,
        reason=row.reason,
        campaign_id=send.campaign_id,
        store_id=send.store_id,
        trigger_id=send.trigger_id,
        created=rfc3339(send.created_ms),
        due=rfc3339(send.due_ms),
        expires=rfc3339(send.expires_ms),
        settled=None if row.settled_ms is None else rfc3339(row.settled_ms),
        attempts=send.attempts,
        last_error=send.last_error,
        event=send.event,
    )
