"""Rows of the outbox, as operators see them and as whom they are about may have them."""

from __future__ import annotations

from msgspec.structs import asdict

from geoengine.core.calendar import rfc3339
from geoengine.core.telling import staff
from geoengine.service.http.wire import MessageOut, SendOut
from geoengine.state.base import SentRow


def shown(row: SentRow) -> SendOut:
    """A row as operators see it: without the address it goes to."""
    send = row.send
    return SendOut(
        send_id=send.send_id,
        kind=send.kind,
        person_id=send.person_id,
        lever=send.lever,
        status=row.status,
        reason=row.reason,
        campaign_id=send.campaign_id,
        created=rfc3339(send.created_ms),
        due=rfc3339(send.due_ms),
        expires=rfc3339(send.expires_ms),
        settled=None if row.settled_ms is None else rfc3339(row.settled_ms),
        attempts=send.attempts,
        last_error=send.last_error,
    )


def message_out(row: SentRow) -> MessageOut:
    """A message to a person, or about them, as they may have it: whole."""
    send = row.send
    return MessageOut(
        **asdict(shown(row)),
        # The token of a shop's own device is no data of the person, and a secret of the shop's.
        address="" if send.lever == staff.LEVER else send.address,
        store_id=send.store_id,
        trigger_id=send.trigger_id,
        event=send.event,
    )
