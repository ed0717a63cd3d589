"""Where levers reach, and by which providers; what is secret stands elsewhere."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from geoengine.core.model.words import (
    Id,
    SecretFrom,
    Spec,
)


class PushSpec(Spec, frozen=True, kw_only=True):
    """How push messages reach Android and Apple phones."""


class SmsSpec(Spec, frozen=True, kw_only=True):
    """Who sends SMS, and what they cost."""


class EmailSpec(Spec, frozen=True, kw_only=True):
    """Which server takes e-mail, and from whom it is."""


Pattern = Annotated[
    str,
    Meta(
        pattern=r"^geoengine\.([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)$",
        description="A type of event, geoengine.visit.closed, or all of a kind, "
        "geoengine.trigger.*; geoengine.* is every event.",
    ),
]


class WebhookSpec(Spec, frozen=True, kw_only=True):
    """An endpoint of yours that webhooks are posted to."""

    id: Id | None = None  # among `webhooks`: stays, whatever else changes
    url: str
    events: Annotated[list[Pattern], Meta(description="What it hears of.")] = field(
        default_factory=lambda: ["geoengine.trigger.fired"]
    )
    campaigns: Annotated[
        list[Id], Meta(description="Only events about one of these; none for all events.")
    ] = []
    stores: Annotated[
        list[Id], Meta(description="Only events about one of these; none for all events.")
    ] = []
    secret: (
        Annotated[
            SecretFrom,
            Meta(description="What signs, whsec_…; for `webhook` GEOENGINE_WEBHOOK_SECRET."),
        ]
        | None
    ) = None
    allow_private: Annotated[bool, Meta(description="Also to private and loopback addresses.")] = (
        False
    )
    at_once: Annotated[
        int, Meta(ge=1, le=256, description="Messages on their way to it at the same time.")
    ] = 16
    per_second: (
        Annotated[
            float,
            Meta(gt=0, le=10_000, description="Messages a second; none for as fast as it answers."),
        ]
        | None
    ) = None
