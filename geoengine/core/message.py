"""Messages: templates in several languages, the way there, the code.

A template is text with ``{name}`` placeholders and nothing more; ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from string import Formatter
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from geoengine.core import coupons
from geoengine.core.book import MODES, Book, CampaignPlan
from geoengine.core.model import Mode, Store
from geoengine.core.record import Json, Record, Transition

_NAME = re.compile(r"^[a-z_]+$")


# --- what a template can ask for ----------------------------------------------------------------


class Scene(Struct, frozen=True, gc=False):
    """Where a message speaks, to whom, with which code."""

    store: Store | None
    zone_name: str  # of a zone without a store
    mode: Mode | None
    minutes: float  # NaN where the reach is not by time
    code: str
    attributes: Json  # the person's


Word = Callable[[Scene], str]

_WORDS: dict[str, Word] = {
    "store": lambda scene: scene.store.name if scene.store else scene.zone_name,
    "directions": lambda scene: directions_url(scene.store, scene.mode) if scene.store else "",
    "minutes": lambda scene: f"{scene.minutes:g}" if scene.minutes == scene.minutes else "",
    "code": lambda scene: scene.code,
    "phone": lambda scene: (scene.store.phone or "") if scene.store else "",
    "url": lambda scene: (scene.store.url or "") if scene.store else "",
    "name": lambda scene: str(scene.attributes.get("name", "")),
    "city": lambda scene: str(scene.attributes.get("city", "")),
}
PLACEHOLDERS = frozenset(_WORDS)


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


def render(template: str, scene: Scene) -> str:
    """Fill in a template; a placeholder without a value becomes nothing.

    >>> render("Come to {store}!{phone}", Scene(None, "Rivoli", None, 5.0, "", {}))
    'Come to Rivoli!'
    """
    parts = _compiled(template)
    return "".join([text if word is None else text + word(scene) for text, word in parts]).strip()


@lru_cache(maxsize=16_384)
def _compiled(template: str) -> tuple[tuple[str, Word | None], ...]:
    """A template as texts, each with the word that follows it."""
    return tuple(
        (text, None if name is None else _WORDS.get(name))
        for text, name, _spec, _conversion in Formatter().parse(template)
    )


def in_language(texts: dict[str, str], locale: str) -> tuple[str, str]:
    """The text for a locale and its language: exact, then by language, then the first written.

    >>> in_language({"fr": "Bonjour", "en": "Hello"}, "en-GB")
    ('en', 'Hello')
    """
    if locale in texts:
        return locale, texts[locale]
    language = locale.replace("_", "-").partition("-")[0]
    if language in texts:
        return language, texts[language]
    return next(iter(texts.items()), ("", ""))


# --- what the button does -----------------------------------------------------------------------

_DIRECTIONS = "https://www.google.com/maps/dir/?api=1&destination="
_TRAVEL_MODES = {
    None: "",
    "walk": "&travelmode=walking",
    "drive": "&travelmode=driving",
    "bike": "&travelmode=bicycling",
    "transit": "&travelmode=transit",
}


def directions_url(store: Store, mode: Mode | None) -> str:
    """A link that opens the way to the store in whatever map the phone has."""
    return _way_to(store.location.lat, store.location.lon, mode)


@lru_cache(maxsize=4_096)  # a megabyte; a message asks twice
def _way_to(lat: float, lon: float, mode: Mode | None) -> str:
    # Adding nothing turns minus zero, which equals zero and is remembered as it, into zero.
    return f"{_DIRECTIONS}{lat + 0.0:.6f}%2C{lon + 0.0:.6f}{_TRAVEL_MODES[mode]}"


_LINKS: dict[str, Callable[[Store, Mode | None], str]] = {
    "directions": directions_url,
    "call": lambda store, _mode: f"tel:{quote(store.phone)}" if store.phone else "",
    "web": lambda store, _mode: store.url or "",
    "app": lambda store, _mode: store.app_link or "",
}


def call_to_action(plan: CampaignPlan, store: Store | None, mode: Mode | None) -> dict[str, str]:
    """What the message's button does: its kind and where it leads."""
    kind = plan.spec.call_to_action
    return {"kind": kind, "url": _LINKS[kind](store, mode) if store else ""}


def compose(
    plan: CampaignPlan, transition: Transition, record: Record, book: Book, trigger_id: str
) -> dict[str, Any]:
    """Everything a lever needs to say it: title, body, locale, call to action, coupon."""
    zone_ix, spec, zones = transition.zone_ix, plan.spec, book.zones
    coupon = coupons.told(plan, transition, trigger_id, book.coupon_key)
    scene = Scene(
        store=book.store_of(zone_ix),
        zone_name=zones.names.get(zone_ix, ""),
        mode=MODES[zones.mode.item(zone_ix)],
        minutes=zones.minutes.item(zone_ix),
        code=coupon.get("code", ""),
        attributes=record.attributes,
    )
    locale, body = in_language(spec.message, record.locale)
    title = in_language(spec.title, record.locale)[1] if spec.title else ""
    said: dict[str, Any] = {
        "message": {"locale": locale, "title": render(title, scene), "body": render(body, scene)},
        "call_to_action": call_to_action(plan, scene.store, scene.mode),
    }
    if coupon:
        said["coupon"] = coupon
    return said
