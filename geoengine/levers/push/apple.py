"""Apple's push service for messages; its answers are read in `levers.apns`."""

from __future__ import annotations

from typing import Any

import msgspec

from geoengine.core.model import ApnsSpec
from geoengine.core.record import Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.apns import (
    BAD_TOKEN,
    Connection,
    TeamTokens,
    apns_id,
    is_token_refused,
    receipt_of,
)
from geoengine.levers.base import Receipt
from geoengine.levers.push.lever import is_too_large
from geoengine.levers.said import app_data, collapse_name, said
from geoengine.levers.web import Answered, Lost


class Apple:
    """One app, by its team's key."""

    def __init__(self, spec: ApnsSpec, tokens: TeamTokens, connection: Connection) -> None:
        self._topic = spec.topic
        self._tokens = tokens
        self._connection = connection
        self._is_proven = False  # whether any token was taken here

    async def push(self, send: Send, token: str, now_ms: int) -> Receipt:
        """Push once; a second time where our token, and not the message, was refused."""
        told = payload(send)
        if is_too_large(told):
            return Receipt("refused", "too_large", has_left=False)
        body = msgspec.json.encode(told)
        mine = self._tokens.token(now_ms)
        try:
            answer = await self._post(send, token, body, mine)
            if is_token_refused(answer) and self._tokens.spoil(mine, now_ms):
                answer = await self._post(send, token, body, self._tokens.token(now_ms))
        except Lost as lost:
            return lost.receipt(is_repeatable=True)
        return self._believed(receipt_of(answer, now_ms))

    def _believed(self, receipt: Receipt) -> Receipt:
        """A token that Apple calls bad is one only where others are good: with the sandbox's switch
        wrong all are, and none is to be thrown away for that.
        """
        self._is_proven |= receipt.status == "delivered"
        if receipt.detail == BAD_TOKEN and not self._is_proven:
            return Receipt("refused", BAD_TOKEN)
        return receipt

    async def _post(self, send: Send, token: str, body: bytes, mine: str) -> Answered:
        headers = {
            "authorization": f"bearer {mine}",
            "apns-id": apns_id(send.send_id),
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(send.expires_ms // SECOND_MS),
            "apns-collapse-id": collapse_name(send),
        }
        return await self._connection.post(token, headers, body)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def payload(send: Send) -> dict[str, Any]:
    """What the phone is given: what it shows, and beside it what the app is told."""
    what = said(send)
    alert = {"title": what.title, "body": what.body}
    aps = {
        "alert": {key: text for key, text in alert.items() if text},
        "sound": "default",
        "thread-id": collapse_name(send),
    }
    return app_data(what) | {"aps": aps}
