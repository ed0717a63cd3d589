"""Where levers reach, and by which providers; what is secret stands elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from geoengine.core.model.words import (
    Id,
    SecretFrom,
    Spec,
)

PerSecond = Annotated[
    float, Meta(gt=0, le=100_000, description="Messages a second, in the long run, by one process.")
]
EmailAddress = Annotated[str, Meta(max_length=254, pattern=r"^[^\s<>@]+@[^\s<>@]+$")]


class FcmSpec(Spec, frozen=True, kw_only=True):
    """Firebase Cloud Messaging: Android, browsers, and iPhones whose app registers with it."""

    account: Annotated[
        SecretFrom, Meta(description="The service account: its JSON, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_FCM_ACCOUNT")
    channel: (
        Annotated[str, Meta(min_length=1, description="Android's notification channel.")] | None
    ) = None
    per_s: PerSecond | None = None


class ApnsSpec(Spec, frozen=True, kw_only=True):
    """Apple's push service, for iPhones whose app registers with Apple."""

    team: Annotated[str, Meta(pattern="^[A-Z0-9]{10}$", description="Apple's id of the team.")]
    key_id: Annotated[str, Meta(pattern="^[A-Z0-9]{10}$", description="The id of the key.")]
    topic: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9.-]{1,155}$", description="The app's bundle id: com.example.app."
        ),
    ]
    key: Annotated[
        SecretFrom, Meta(description="The .p8 key of the team: its text, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_APNS_KEY")
    sandbox: Annotated[bool, Meta(description="For apps that are installed from Xcode.")] = False
    per_s: PerSecond | None = None


class PushSpec(Spec, frozen=True, kw_only=True):
    """How push messages reach Android and Apple phones."""

    fcm: FcmSpec | None = None
    apns: ApnsSpec | None = None


class SmsSpec(Spec, frozen=True, kw_only=True):
    """Who sends SMS, and what they cost."""

    provider: Literal["twilio", "brevo"]
    sender: (
        Annotated[
            str,
            Meta(
                pattern=r"^([A-Za-z0-9 ]{3,11}|\+[1-9][0-9]{6,14}|[0-9]{3,15})$",
                description="3 to 11 letters and digits, a number, or a short code.",
            ),
        ]
        | None
    ) = None
    account: (
        Annotated[str, Meta(pattern="^AC[0-9a-f]{32}$", description="Twilio's account SID.")] | None
    ) = None
    messaging_service: (
        Annotated[
            str, Meta(pattern="^MG[0-9a-f]{32}$", description="Twilio's, instead of a sender.")
        ]
        | None
    ) = None
    key: (
        Annotated[
            SecretFrom,
            Meta(
                description="Twilio's auth token or Brevo's API key; by default "
                "GEOENGINE_TWILIO_TOKEN or GEOENGINE_BREVO_KEY."
            ),
        ]
        | None
    ) = None
    stop: (
        Annotated[
            str,
            Meta(
                pattern=r"\bSTOP\b",
                max_length=60,
                description="How one opts out; put after texts that do not say it: "
                "STOP au 36180. Brevo fills in the number of STOP [STOP_CODE].",
            ),
        ]
        | None
    ) = None
    max_segments: Annotated[
        int, Meta(ge=1, le=10, description="A text that takes more is not sent.")
    ] = 3
    segment_cost: Annotated[float, Meta(ge=0, le=10, description="Of one segment.")] = 0.0
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")] = "EUR"
    daily_spend: (
        Annotated[
            float,
            Meta(
                gt=0,
                description="What a day (UTC) may cost; beyond it only news of orders is sent.",
            ),
        ]
        | None
    ) = None
    per_s: PerSecond | None = None


class EmailSpec(Spec, frozen=True, kw_only=True):
    """Which server takes e-mail, and from whom it is."""

    server: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]{1,253}$", description="Its host.")]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    encryption: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="starttls on 587, tls on 465; none only to a relay on this machine."),
    ] = "starttls"
    user: str | None = None
    password: Annotated[SecretFrom, Meta(description="Only with `user`.")] = SecretFrom(
        env="GEOENGINE_SMTP_PASSWORD"
    )
    sender: Annotated[
        str,
        Meta(
            pattern=r"^([^<>@\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$",
            description="Maison Rivoli <bonjour@rivoli.example>.",
        ),
    ]
    reply_to: EmailAddress | None = None
    envelope_sender: (
        Annotated[
            EmailAddress, Meta(description="Where bounces go; by default the sender's address.")
        ]
        | None
    ) = None
    connections: Annotated[int, Meta(ge=1, le=50, description="To the server at once.")] = 4
    per_s: PerSecond | None = None


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
