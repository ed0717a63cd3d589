"""The nouns that people configure, in the shape that YAML gives them.

These structs are the contract with the marketer: the loader reads them, the JSON Schema for
editors is exported from them, the documentation of the keys is their descriptions. What the
engine runs on is compiled from them once, into a `Book`.
"""

from __future__ import annotations

from geoengine.core.model.campaigns import Campaign, Cap, Coupon, Target, Window
from geoengine.core.model.engine import Catalogue, ConsentSpec, EngineSpec, RoadsSpec
from geoengine.core.model.levers import (
    ApnsSpec,
    EmailSpec,
    FcmSpec,
    PushSpec,
    SmsSpec,
    WebhookSpec,
)
from geoengine.core.model.measure import MeasureSpec
from geoengine.core.model.places import (
    TOUCH_KINDS,
    WHOLE_STORE,
    Beacon,
    Footprint,
    Gateway,
    GatewayKind,
    Import,
    Location,
    PresenceSpec,
    Reach,
    Store,
    TouchKind,
    Zone,
)
from geoengine.core.model.wallet import WalletSpec
from geoengine.core.model.words import (
    LEVERS,
    PERSON_LEVERS,
    PURPOSES,
    SYSTEM_LEVERS,
    Change,
    DateText,
    Decided,
    DurationText,
    Id,
    LeverName,
    Metres,
    Mode,
    PercentText,
    Seconds,
    SecretFrom,
    Setting,
    Share,
    Spec,
    ZoneName,
)

__all__ = [
    "ApnsSpec",
    "Beacon",
    "Campaign",
    "Cap",
    "Catalogue",
    "Change",
    "ConsentSpec",
    "Coupon",
    "DateText",
    "Decided",
    "DurationText",
    "EmailSpec",
    "EngineSpec",
    "FcmSpec",
    "Footprint",
    "Gateway",
    "GatewayKind",
    "Id",
    "Import",
    "LEVERS",
    "LeverName",
    "Location",
    "MeasureSpec",
    "Metres",
    "Mode",
    "PERSON_LEVERS",
    "PURPOSES",
    "PercentText",
    "PresenceSpec",
    "PushSpec",
    "Reach",
    "RoadsSpec",
    "SYSTEM_LEVERS",
    "Seconds",
    "SecretFrom",
    "Setting",
    "Share",
    "SmsSpec",
    "Spec",
    "Store",
    "TOUCH_KINDS",
    "Target",
    "TouchKind",
    "WHOLE_STORE",
    "WalletSpec",
    "WebhookSpec",
    "Window",
    "Zone",
    "ZoneName",
]
