"""What editors say of a key while somebody writes it.

Types say of themselves how a value is written ("For example 90s, 15m, 2h, 7d."); here stands what
it does, where the type of the key leaves that open.
"""

from __future__ import annotations

from typing import Any, Final

_LANGUAGES = "by language: {fr: …, en: …}."
TOLD: Final[dict[str, dict[str, str]]] = {
    "Catalogue": {
        "stores": "The shops, one by one or imported from a file.",
        "zones": "Areas that are no store's reach, one by one or imported from a file.",
        "campaigns": "What to say to whom, where and when.",
        "gateways": "What hears for the stores: beacon gateways.",
    },
    "Store": {
        "id": "The store's name in campaigns, events and reports.",
        "name": "What people call it; {store} in messages.",
        "setting": "How one travels there; auto counts the people around.",
        "tags": "Words by which campaigns choose stores.",
        "phone": "Where the button `call` leads.",
        "url": "Its page: where the button `web` leads.",
        "app_link": "Where the button `app` leads: a universal link, or the app's own scheme.",
        "beacons": "What tells where in the store somebody is.",
    },
    "Reach": {
        "mode": "How one travels; by default as the setting says.",
        "speed_mps": "Metres a second; by default as the setting says.",
        "detour": "The way by road, over the way as the crow flies.",
        "radius_m": "A circle instead of a time.",
        "polygon": "An area instead: GeoJSON, or the file that holds it.",
    },
    "PresenceSpec": {
        "enter_p": "One fix this sure to be inside lets in.",
        "confirm_enter_p": "Two running this sure let in.",
        "leave_p": "Who is inside: one fix no surer than this to be still there throws out.",
        "confirm_leave_p": "Who is inside: two running no surer than this throw out.",
        "buffer_m": "How much larger the zone is for those inside, at the least.",
        "buffer_per_accuracy": "How much larger, per metre of the fix's accuracy.",
        "dwell_s": "A stay this long is a dwell.",
        "fresh_s": "A dwell needs something heard within so long.",
        "silence_s": "Nothing heard for so long ends the visit.",
        "cross_m": "A way this long through the zone crosses it.",
        "cross_gap_s": "Two fixes at most this far apart make a crossing.",
        "beacon_sightings": "So many sightings of a beacon let in.",
        "beacon_within_s": "Within how long those sightings are heard.",
        "beacon_smooth_s": "Signal strength is the mean over this.",
        "beacon_margin_db": "How much louder another place must be to take over.",
        "beacon_near_dbm": "The weakest signal that counts.",
        "beacon_silence_s": "Out, so long after the last sighting.",
    },
    "Footprint": {"polygon": "The shop's outline: GeoJSON, or the file that holds it."},
    "Beacon": {
        "kind": "An iBeacon, or a code that phones tap, scan or hear.",
        "uuid": "Of an iBeacon, as it sends it.",
        "major": "Of an iBeacon, as it sends it.",
        "minor": "Of an iBeacon, as it sends it.",
    },
    "Zone": {
        "name": "What people call it.",
        "store": "The store that it belongs to, if any.",
        "radius_m": "Around `center`.",
        "polygon": "GeoJSON, or the file that holds it, instead of a circle.",
        "time_zone": "IANA name; by default that of the place.",
        "tags": "Words by which campaigns choose zones.",
    },
    "Campaign": {
        "id": "The campaign's name in events and reports.",
        "name": "What people call it.",
        "live_from": "Before it, nothing is said.",
        "live_until": "After it, nothing is said; a day is the last one.",
        "audience": "Who: what must be true of a person.",
        "cooldown": "Silence towards a person after it has fired.",
        "hold_out": "So many are never told, to see what the others came for.",
        "caps": "How often a person may hear of it.",
        "levers": "The roads a message may take: the first that has consent and an address.",
        "title": f"The line above the text, {_LANGUAGES}",
        "priority": "Of several campaigns at one visit the highest speaks.",
        "max_age": "News older than this fires nothing.",
        "expires": "A send that has not started by then never starts.",
        "late_send": "What comes at a forbidden hour: drop it, or hold it until it may be said.",
    },
    "Message": {
        "message": f"Its text, {_LANGUAGES}",
        "title": f"The line above the text, {_LANGUAGES}",
    },
    "Target": {
        "stores": "These stores.",
        "tags": "All that have one of these tags.",
        "zones": "These zones.",
        "place": "Only this place in the stores: a beacon's, or `inside` for the outline.",
    },
    "Window": {"except_dates": "Never on these days."},
    "Cap": {"max": "How many, at the most."},
    "Gateway": {"kind": "Who made it, so what its messages look like."},
    "EngineSpec": {
        "state": "Where records and the outbox live: local:FILE, memory: or redis://HOST.",
        "caps": "How often a person may hear of all campaigns together.",
        "max_age": "News older than this fires nothing; a campaign may say otherwise.",
        "visit_group": "Visits begun within it of one another share one message.",
        "last_fixes": "Of how many devices the last fix is remembered.",
        "decisions_kept": "How long it can be asked why somebody did or did not hear.",
        "webhooks": "Where events are posted to.",
    },
    "RoadsSpec": {"router": "Which routing engine answers."},
    "ConsentSpec": {
        "location": "required: no match without it; assumed: the app sends after an opt-in only."
    },
    "SmsSpec": {"provider": "Who sends them."},
    "EmailSpec": {
        "port": "Of the server: 587 goes with starttls, 465 with tls.",
        "user": "Whom to log in as; nobody, where it is not said.",
        "reply_to": "Where answers go.",
    },
    "GoogleWalletSpec": {"kind": "What the pass is."},
    "WebhookSpec": {"url": "Where to post."},
    "DoorSpec": {"confidence": "How sure such a visit is taken to be: from 0 to 1."},
}


def explain(components: dict[str, Any]) -> None:
    """Write onto each key of each struct's schema what it does, and how it is written."""
    for name, shape in components.items():
        for key, schema in shape.get("properties", {}).items():
            words = (TOLD.get(name, {}).get(key, ""), said(schema, components))
            if text := " ".join(word for word in words if word):
                schema["description"] = text


def said(schema: dict[str, Any], components: dict[str, Any]) -> str:
    """What the type of a key says of itself; of several types the first that says something."""
    if "description" in schema:
        return str(schema["description"])
    if "$ref" in schema:
        return said(components[schema["$ref"].rpartition("/")[2]], {})
    return next((text for one in schema.get("anyOf", ()) if (text := said(one, components))), "")
