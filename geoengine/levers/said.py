"""What a message says, read from the event that carries it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from msgspec import Struct

from geoengine.core.record import Send
from geoengine.core.units import SECOND_MS

_IDS = ("trigger_id", "campaign_id", "store_id", "zone_id", "visit_id", "order_id", "arrival")
NAME_MAX_BYTES = 64  # of Apple's collapse id, the strictest


class Said(Struct, frozen=True):
    """A message as a lever says it; texts are filled in already, what is lacking is empty."""

    locale: str = ""
    title: str = ""
    body: str = ""
    action: str = ""  # what the button does: directions, call, web, app
    url: str = ""  # and where it leads
    code: str = ""
    valid_until: str = ""  # of the code, RFC 3339
    ids: dict[str, str] = {}
    is_transactional: bool = False  # about something of theirs, and no advertisement


def said(send: Send) -> Said:
    """What a send's event says."""
    data = send.event.get("data") or {}
    message, action = _part(data, "message"), _part(data, "call_to_action")
    coupon = _part(data, "coupon")
    ids = {key: str(data[key]) for key in _IDS if data.get(key)}
    ids |= {
        key: value
        for key, value in (
            ("trigger_id", send.trigger_id),
            ("campaign_id", send.campaign_id),
            ("store_id", send.store_id),
        )
        if value
    }
    return Said(
        locale=str(message.get("locale") or ""),
        title=str(message.get("title") or ""),
        body=str(message.get("body") or ""),
        action=str(action.get("kind") or ""),
        url=str(action.get("url") or ""),
        code=str(coupon.get("code") or ""),
        valid_until=str(coupon.get("valid_until") or ""),
        ids=ids,
        is_transactional=data.get("legal_basis") == "transactional",
    )


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    part = data.get(name)
    return part if isinstance(part, dict) else {}


def app_data(what: Said) -> dict[str, str]:
    """What an app is handed beside the text: ids, and what a tap leads to."""
    given = {
        "action": what.action,
        "url": what.url,
        "code": what.code,
        "valid_until": what.valid_until,
    }
    return what.ids | {key: value for key, value in given.items() if value}


def collapse_name(send: Send) -> str:
    """The name under which a phone shows one message: a newer one of the campaign takes the place
    of an older one, and so does a second attempt of the same.

    >>> from geoengine.core.record import Send
    >>> collapse_name(Send("s", "trigger", "ada", "push", 0, 0, 0, {}, "afterwork"))
    'afterwork'
    """
    name = send.campaign_id or send.send_id
    if len(name.encode()) <= NAME_MAX_BYTES:
        return name
    return blake2b(name.encode(), digest_size=16).hexdigest()


def life_s(send: Send, now_ms: int) -> int:
    """How many seconds a provider may keep a message before it is too late."""
    return max((send.expires_ms - now_ms) // SECOND_MS, 0)
