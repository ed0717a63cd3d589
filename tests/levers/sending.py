"""What the tests of the levers share."""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Any

from geoengine.core.model import WebhookSpec
from geoengine.core.record import Send
from geoengine.levers.webhook import Endpoint, WebhookLever

NOW_MS = 1_795_287_600_000  # 2026-11-21T19:00:00Z
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
SECRET_2 = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba98").decode()


def a_send(**changes: Any) -> Send:
    """A message on its way; what is told replaces what is usual."""
    usual: dict[str, Any] = {
        "send_id": "send-1",
        "kind": "trigger",
        "person_id": "ada",
        "lever": "webhook",
        "created_ms": NOW_MS,
        "expires_ms": NOW_MS + 900_000,
        "due_ms": NOW_MS,
        "campaign_id": "afterwork",
        "store_id": "rivoli",
        "trigger_id": "trigger-1",
        "event": {
            "specversion": "1.0",
            "id": "send-1",
            "type": "geoengine.trigger.fired",
            "source": "/geoengine",
            "time": "2026-11-21T19:00:00.000Z",
            "data": {"zone_id": "rivoli", "visit_id": "v1", "message": {"body": "Bonsoir Ada"}},
        },
    }
    return Send(**usual | changes)


class Opened:
    """A lever that is closed at the end of the block."""

    def __init__(self, lever: WebhookLever) -> None:
        self.lever = lever

    async def __aenter__(self) -> WebhookLever:
        return self.lever

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.lever.close()


def lever_for(
    url: str, secrets: str = SECRET, allow_private: bool = True, **options: Any
) -> Opened:
    """A webhook lever to a receiver of a test."""
    spec = WebhookSpec(url=url, allow_private=allow_private)
    return Opened(WebhookLever([Endpoint(spec, secrets)], **options))
