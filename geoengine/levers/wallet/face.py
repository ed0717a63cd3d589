"""What stands on a pass, and where it shows itself: Apple's ``pass.json``.

A pass lies in the wallet and comes to the lock screen near one of ten places or ten beacons. The
places are those near where its holder was last known to shop, so that each holder has ten of their
own; they change when the pass does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from geoengine.core.calendar import rfc3339
from geoengine.core.model import WalletSpec

PLACES_MAX: Final = 10  # of each kind: Apple ignores more
# Apple shows a pass within some hundred metres of a place by its style; more is cut off there.
DISTANCE_MAX_M: Final = 1_000.0


class Place(Struct, frozen=True):
    """A store as a pass knows it."""

    name: str
    lat: float
    lon: float
    text: str = ""  # what is shown there; the store's name by default
    reach_m: float = 0.0


class Signal(Struct, frozen=True):
    """A beacon as a pass knows it."""

    uuid: str
    major: int
    minor: int
    text: str = ""


class Said(Struct, frozen=True):
    """What the pass says just now."""

    title: str = ""
    body: str = ""
    code: str = ""
    until_ms: int = 0  # of the code; 0 for none
    from_ms: int = 0  # when it was said


class Issue(Struct, frozen=True):
    """Whose pass it is, and how their phone asks for it again."""

    serial: str
    token: str  # the phone shows it with each request
    service_url: str
    holder: str = ""  # a name to be read on the pass; "" for none
    is_void: bool = False


def pass_json(
    spec: WalletSpec, issue: Issue, said: Said, places: Sequence[Place], signals: Sequence[Signal]
) -> dict[str, Any]:
    """The face of a pass, by Apple's Wallet pass format, version 1."""
    assert spec.apple is not None
    face: dict[str, Any] = {
        "formatVersion": 1,
        "passTypeIdentifier": spec.apple.pass_type,
        "teamIdentifier": spec.apple.team,
        "serialNumber": issue.serial,
        "organizationName": spec.organization,
        "description": spec.description,
        "logoText": spec.organization,
        "backgroundColor": _rgb(spec.colour),
        "foregroundColor": _rgb(spec.text_colour),
        "labelColor": _rgb(spec.text_colour),
        "webServiceURL": issue.service_url,
        "authenticationToken": issue.token,
        "sharingProhibited": True,  # it is somebody's own
        "storeCard": _fields(issue, said),
    }
    if issue.is_void:
        return face | {"voided": True}
    if said.code:
        face["barcodes"] = [_barcode(said.code)]
        if said.from_ms < said.until_ms:  # while the code counts the pass is worth showing
            dates = {"startDate": rfc3339(said.from_ms), "endDate": rfc3339(said.until_ms)}
            face["relevantDates"] = [dates]
    if places:
        face["locations"] = [_location(place) for place in places[:PLACES_MAX]]
        reach_m = max(place.reach_m for place in places[:PLACES_MAX])
        if 0 < reach_m < DISTANCE_MAX_M:  # it only ever makes Apple's own distance less
            face["maxDistance"] = round(reach_m)
    if signals:
        face["beacons"] = [_beacon(signal) for signal in signals[:PLACES_MAX]]
    return face


def _fields(issue: Issue, said: Said) -> dict[str, Any]:
    """The texts. A field whose value changes tells so on the lock screen, by ``changeMessage``."""
    fields: dict[str, Any] = {}
    if issue.holder:
        fields["headerFields"] = [{"key": "holder", "label": "", "value": issue.holder}]
    if said.title:
        fields["primaryFields"] = [{"key": "title", "label": "", "value": said.title}]
    if said.code and said.until_ms:
        until = {"key": "until", "label": "", "value": rfc3339(said.until_ms), "isRelative": True}
        fields["secondaryFields"] = [until | {"dateStyle": "PKDateStyleShort"}]
    if said.body:
        body = {"key": "message", "label": "", "value": said.body, "changeMessage": "%@"}
        fields["backFields"] = [body]
    return fields


def _barcode(code: str) -> dict[str, str]:
    return {
        "format": "PKBarcodeFormatQR",
        "message": code,
        "messageEncoding": "iso-8859-1",
        "altText": code,
    }


def _location(place: Place) -> dict[str, Any]:
    text = place.text or place.name
    return {"latitude": place.lat, "longitude": place.lon, "relevantText": text}


def _beacon(signal: Signal) -> dict[str, Any]:
    found: dict[str, Any] = {
        "proximityUUID": signal.uuid,
        "major": signal.major,
        "minor": signal.minor,
    }
    return found | ({"relevantText": signal.text} if signal.text else {})


def _rgb(colour: str) -> str:
    """A colour as Apple writes it.

    >>> _rgb("#1a3c5e")
    'rgb(26, 60, 94)'
    """
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgb({red}, {green}, {blue})"
