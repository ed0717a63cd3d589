"""The lever that speaks to nobody: one structured line per message, for trying things out.

The line names what was sent to whom by id and holds nothing else: no coordinates, no address, no
text, since texts carry coupon codes and links carry places.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from geoengine.core.record import Json, Send
from geoengine.levers.base import Receipt

# Taken from the event's data by name: what is not listed here cannot leak into a log.
DATA_KEYS = ("zone_id", "visit_id", "on")


def line(send: Send, now_ms: int) -> Json:
    """What one send says of itself in a log."""
    data = send.event.get("data") or {}
    return {
        "send_id": send.send_id,
        "type": send.event.get("type", ""),
        "at_ms": now_ms,
        "person_id": send.person_id,
        "campaign_id": send.campaign_id,
        "store_id": send.store_id,
        "trigger_id": send.trigger_id,
    } | {key: data[key] for key in DATA_KEYS if key in data}


class LogLever:
    """Writes JSON lines to `write`, or to the process's structured log."""

    name = "log"
    timeout_s = 1.0

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write
        self._log = structlog.get_logger("geoengine.levers.log")

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Write the line; it cannot fail but by a full disk, which is the caller's to see."""
        fields = line(send, now_ms)
        if self._write is None:
            self._log.info("send", lever=self.name, **fields)
        else:
            self._write(msgspec.json.encode(fields, order="deterministic").decode() + "\n")
        return Receipt("delivered")

    async def close(self) -> None:
        """Nothing is held."""
