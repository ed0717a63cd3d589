"""Calls to action: what a message's button does, on each platform.

Google's map links (Maps URLs, ``api=1``) open its app where there is one and a page where there is
none, also on iPhones; there Apple's (Map Links, ``daddr`` and ``dirflg``) open what the phone
brings. Phones with neither, as many sold without Google's services, take ``geo:`` (RFC 5870, with
Android's ``q``): it shows the place in whichever map is there, and no way to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from geoengine.core.model import Mode, Store

ANDROID, IOS, WEB = "android", "ios", "web"
PLATFORMS: Final = (ANDROID, IOS, WEB)
_GOOGLE: Final = "https://www.google.com/maps/dir/?api=1&destination="
_APPLE: Final = "https://maps.apple.com/?daddr="
_GOOGLE_MODES: Final[dict[Mode | None, str]] = {
    None: "",
    "walk": "&travelmode=walking",
    "drive": "&travelmode=driving",
    "bike": "&travelmode=bicycling",
    "transit": "&travelmode=transit",
}
# Map Links know no bicycle: then the phone's own preference holds.
_APPLE_MODES: Final[dict[Mode | None, str]] = {
    None: "",
    "walk": "&dirflg=w",
    "drive": "&dirflg=d",
    "bike": "",
    "transit": "&dirflg=r",
}
_DIALLED: Final = "+*0123456789"
_WEB_SCHEMES: Final = ("https://", "http://")


def directions_url(store: Store, mode: Mode | None, platform: str = "") -> str:
    """A link that opens the way to the store in the map of a phone of this platform."""
    return _way_to(store.location.lat, store.location.lon, mode, platform == IOS)


@lru_cache(maxsize=4_096)  # a megabyte; a message asks twice
def _way_to(lat: float, lon: float, mode: Mode | None, is_apple: bool) -> str:
    # Adding nothing turns minus zero, which equals zero and is remembered as it, into zero.
    place = f"{lat + 0.0:.6f}%2C{lon + 0.0:.6f}"
    if is_apple:
        return f"{_APPLE}{place}{_APPLE_MODES[mode]}"
    return f"{_GOOGLE}{place}{_GOOGLE_MODES[mode]}"


def geo_url(store: Store) -> str:
    """The place in whichever map an Android phone has, with the store's name on it."""
    place = f"{store.location.lat + 0.0:.6f},{store.location.lon + 0.0:.6f}"
    return f"geo:{place}?q={place}({quote(store.name)})"


def app_url(store: Store, platform: str = "") -> str:
    """What opens the app, or the store's page where there can be none.

    A universal link (https) opens the app where it is installed and its page elsewhere. A scheme of
    the app's own opens nothing where it is not: only of a phone that has a push token is that known
    (its platform), everybody else gets the page.
    """
    link = store.app_link or ""
    opens_all = link.startswith(_WEB_SCHEMES)
    if platform == WEB or not link or (not opens_all and not platform):
        return store.url or (link if opens_all else "")
    return link


def call_url(phone: str) -> str:
    """What dials a number as people write it (RFC 3966: digits, with a plus before the country).

    >>> call_url("+33 (0)1 99 00 00 01"), call_url("on request")
    ('tel:+33199000001', '')
    """
    # The zero in brackets is dialled within the country only.
    text = phone.replace("(0)", "") if phone.lstrip().startswith("+") else phone
    number = "".join(sign for sign in text if sign in _DIALLED)
    return f"tel:{number}" if number.strip("+*") else ""


_LINKS: Final[dict[str, Callable[[Store, Mode | None, str], str]]] = {
    "directions": directions_url,
    "call": lambda store, _mode, _platform: call_url(store.phone or ""),
    "web": lambda store, _mode, _platform: store.url or "",
    "app": lambda store, _mode, platform: app_url(store, platform),
}


def url_of(kind: str, store: Store | None, mode: Mode | None, platform: str = "") -> str:
    """Where a call to action leads, as far as the store tells; "" where it does not."""
    make = _LINKS.get(kind)
    return make(store, mode, platform) if make is not None and store is not None else ""


def urls_of(kind: str, store: Store | None, mode: Mode | None) -> dict[str, str]:
    """Where it leads by platform, where that differs; and by ``geo``, for maps of all makers."""
    found = {platform: url_of(kind, store, mode, platform) for platform in PLATFORMS}
    if len(set(found.values())) == 1:
        return {}
    if kind == "directions" and store is not None:
        found["geo"] = geo_url(store)
    return found


def call_to_action(
    kind: str, store: Store | None, mode: Mode | None, platform: str = "", url: str = ""
) -> dict[str, Any]:
    """What the message's button does: its kind, where it leads on this platform, and on others.

    ``url`` is where it leads whatever the platform: a short link, or the person's own.
    """
    if url:
        return {"kind": kind, "url": url}
    action: dict[str, Any] = {"kind": kind, "url": url_of(kind, store, mode, platform)}
    if urls := urls_of(kind, store, mode):
        action["urls"] = urls
    return action
