"""What reports count of a message: pure, once a trigger, under an id that stays."""

from __future__ import annotations

from geoengine.core.ids import digest
from geoengine.core.record import Fact, Json, Send
from geoengine.levers.base import Receipt
from geoengine.service.sending.ending.settling import is_over, reason_code
from geoengine.state.base import Settlement


def facts_of(send: Send, settlement: Settlement, receipt: Receipt | None, at_ms: int) -> list[Fact]:
    """The facts of a settled row; only triggers have any.

    Sent and delivered are one moment here: a lever says ``delivered`` when its provider has the
    message. What became of it later, a provider tells by itself.
    """
    if send.kind != "trigger" or not is_over(settlement):
        return []
    said, costs = _said(send), _costs(receipt)
    if settlement.status == "delivered":
        return [
            _fact(send, "sent", said | costs, at_ms),
            _fact(send, "delivered", said, at_ms),
        ]
    why = {"status": settlement.status, "reason": reason_code(settlement.reason)}
    return [_fact(send, "failed", said | why | costs, at_ms)]


def _said(send: Send) -> Json:
    data = send.event.get("data") or {}
    return {"lever": send.lever, "variant": str(data.get("variant") or "")}


def _costs(receipt: Receipt | None) -> Json:
    """What it costs, or may: a message of unknown fate may be on the provider's bill."""
    if receipt is None:
        return {}
    told: Json = {"parts": receipt.parts} if receipt.parts else {}
    if receipt.currency:
        told |= {"cost": receipt.cost, "currency": receipt.currency}
    return told


def _fact(send: Send, kind: str, data: Json, at_ms: int) -> Fact:
    said = send.event.get("data") or {}
    return Fact(
        id=digest("fact", send.trigger_id or send.send_id, kind),
        kind=kind,
        person_id=send.person_id,
        at_ms=at_ms,
        store_id=send.store_id,
        campaign_id=send.campaign_id,
        trigger_id=send.trigger_id,
        visit_id=str(said.get("visit_id") or ""),
        data=data,
    )
