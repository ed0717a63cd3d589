"""Where levers reach, and by which providers; what is secret stands elsewhere."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from geoengine.core.model.words import (
    Spec,
)


class PushSpec(Spec, frozen=True, kw_only=True):
    """How push messages reach Android and Apple phones."""


class SmsSpec(Spec, frozen=True, kw_only=True):
    """Who sends SMS, and what they cost."""


class EmailSpec(Spec, frozen=True, kw_only=True):
    """Which server takes e-mail, and from whom it is."""


class WebhookSpec(Spec, frozen=True, kw_only=True):
    """Where the webhook lever posts; the signing secret comes from the environment."""

    url: str
    events: list[str] = field(default_factory=lambda: ["geoengine.trigger.fired"])
    allow_private: Annotated[bool, Meta(description="Also to private and loopback addresses.")] = (
        False
    )
