"""A row of the outbox, as whom it is about may have it."""

from __future__ import annotations

from geoengine.core.calendar import rfc3339
from geoengine.core.telling import staff
from geoengine.service.http.wire import MessageOut
from geoengine.state.base import SentRow


def message_out(row: SentRow) -> MessageOut:
    """A message on its way, or how it ended."""
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
