"""Messages: templates in several languages, the way there, the code.

A template is text with ``{name}`` placeholders and nothing more; ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b
from string import Formatter
from typing import Any
from urllib.parse import quote, urlencode

from geoengine.core.book import MODES, Book, CampaignPlan
from geoengine.core.calendar import rfc3339
from geoengine.core.model import Store
from geoengine.core.record import Record, Transition

PLACEHOLDERS = frozenset({"store", "directions", "minutes", "code", "phone", "url", "name", "city"})
_NAME = re.compile(r"^[a-z_]+$")
_TRAVEL_MODES = {"walk": "walking", "drive": "driving"}
CODE_LENGTH = 10


def placeholders(template: str) -> set[str]:
    """The names a template asks for; raises ValueError where its braces do not match.

    >>> sorted(placeholders("{store}: {directions} {{sic}}"))
    ['directions', 'store']
    """
    names = set()
    for _text, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if not _NAME.match(name) or spec or conversion:
            raise ValueError(f"{{{name}}} is not a plain placeholder")
        names.add(name)
    return names


def render(template: str, values: dict[str, str]) -> str:
    """Fill in a template; a placeholder without a value becomes nothing.

    >>> render("Come to {store}!{phone}", {"store": "Rivoli"})
    'Come to Rivoli!'
    """
    parts = []
    for text, name, _spec, _conversion in Formatter().parse(template):
        parts.append(text)
        if name is not None:
            parts.append(values.get(name, ""))
    return "".join(parts).strip()


def in_language(texts: dict[str, str], locale: str) -> tuple[str, str]:
    """The text for a locale and its language: exact, then by language, then the first written.

    >>> in_language({"fr": "Bonjour", "en": "Hello"}, "en-GB")
    ('en', 'Hello')
    """
    for wanted in (locale, locale.replace("_", "-").split("-")[0]):
        if wanted in texts:
            return wanted, texts[wanted]
    return next(iter(texts.items()), ("", ""))


def directions_url(store: Store, mode: str | None) -> str:
    """A link that opens the way to the store in whatever map the phone has."""
    return _directions_url(store.location.lat, store.location.lon, mode)


@lru_cache(maxsize=65_536)
def _directions_url(lat: float, lon: float, mode: str | None) -> str:
    query = {"api": "1", "destination": f"{lat:.6f},{lon:.6f}"}
    if mode in _TRAVEL_MODES:
        query["travelmode"] = _TRAVEL_MODES[mode]
    return "https://www.google.com/maps/dir/?" + urlencode(query)


def call_to_action(plan: CampaignPlan, store: Store | None, mode: str | None) -> dict[str, str]:
    """What the message's button does: its kind and where it leads."""
    kind = plan.spec.call_to_action
    if store is None:
        return {"kind": kind, "url": ""}
    urls = {
        "directions": directions_url(store, mode),
        "call": f"tel:{quote(store.phone)}" if store.phone else "",
        "web": store.url or "",
        "app": store.app_link or "",
    }
    return {"kind": kind, "url": urls[kind]}


def coupon_code(plan: CampaignPlan, trigger_id: str, key: bytes) -> str:
    """The code the till will see: the shared one, or one of this trigger's own.

    A code of its own is a keyed hash of the trigger, so it cannot be guessed without the key and
    comes out the same when the trigger is worked out again.
    """
    coupon = plan.spec.coupon
    if coupon is None:
        return ""
    if coupon.kind == "shared":
        return coupon.code or ""
    hashed = blake2b(trigger_id.encode(), key=key[:64], digest_size=8).digest()
    return b32encode(hashed).decode()[:CODE_LENGTH]


def compose(
    plan: CampaignPlan, transition: Transition, record: Record, book: Book, trigger_id: str
) -> dict[str, Any]:
    """Everything a lever needs to say it: title, body, locale, call to action, coupon."""
    store = book.store_of(transition.zone_ix)
    mode = MODES[book.zones.mode[transition.zone_ix]]
    action = call_to_action(plan, store, mode)
    code = coupon_code(plan, trigger_id, book.coupon_key)
    minutes = float(book.zones.minutes[transition.zone_ix])
    values = {
        "store": store.name if store else book.zones.names.get(transition.zone_ix, ""),
        "directions": directions_url(store, mode) if store else "",
        "minutes": f"{minutes:g}" if minutes == minutes else "",
        "code": code,
        "phone": (store.phone or "") if store else "",
        "url": (store.url or "") if store else "",
        "name": str(record.attributes.get("name", "")),
        "city": str(record.attributes.get("city", "")),
    }
    locale, body = in_language(plan.spec.message, record.locale)
    _locale, title = in_language(plan.spec.title, record.locale)
    said: dict[str, Any] = {
        "message": {"locale": locale, "title": render(title, values), "body": render(body, values)},
        "call_to_action": action,
    }
    if code:
        until_ms = transition.now_ms + plan.coupon_valid_ms
        said["coupon"] = {"code": code, "valid_until": rfc3339(until_ms)}
    return said
