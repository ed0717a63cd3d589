"""What a marketer says to whom, where and when."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from geoengine.core.model.words import (
    Change,
    DateText,
    DurationText,
    Id,
    LeverName,
    PercentText,
    Spec,
    ZoneName,
)


class Target(Spec, frozen=True, kw_only=True):
    """Which zones a campaign is about; several keys must all hold, several values are either-or."""

    stores: list[Id] | None = None
    tags: list[Id] | None = None
    zones: list[ZoneName] | None = None
    place: Id | list[Id] | None = None


class Window(Spec, frozen=True, kw_only=True):
    """When a campaign may speak, in the store's local time."""

    days: Annotated[str, Meta(description="OSM weekdays: Mo-Fr, or Sa,Su,PH.")] | None = None
    hours: (
        Annotated[
            str, Meta(description="One or more spans: 17:30-18:00 or 08:00-10:00,22:00-02:00.")
        ]
        | None
    ) = None
    except_dates: list[DateText] = []
    holidays: Annotated[bool, Meta(description="Whether public holidays count as usual days.")] = (
        True
    )


class Cap(Spec, frozen=True, kw_only=True):
    """At most `max` triggers per window; `hour`, `day`, `week` are calendar, `24h` slides."""

    max: Annotated[int, Meta(ge=1, le=10_000)]
    per: Annotated[
        str,
        Meta(
            pattern=r"^(hour|day|week|total|[0-9]+(\.[0-9]+)?(s|m|h|d))$",
            description="hour, day, week, total, or a span that slides, such as 24h.",
        ),
    ]


class Coupon(Spec, frozen=True, kw_only=True):
    """What the message carries to the till."""

    kind: Annotated[
        Literal["unique", "pool", "shared"],
        Meta(
            description="unique: a code made for each message; pool: one of the codes uploaded "
            "with `geoengine coupons upload`; shared: one code for all."
        ),
    ]
    code: Annotated[str, Meta(description="The code that all share.")] | None = None
    pool: Annotated[Id, Meta(description="Which uploaded codes to give.")] | None = None
    limit: (
        Annotated[int, Meta(ge=1, description="How often a shared code may be redeemed.")] | None
    ) = None
    valid: Annotated[DurationText, Meta(description="From the moment the campaign fires.")] = "24h"
    redeem_at: Annotated[
        Literal["store", "campaign", "anywhere"],
        Meta(
            description="Whose tills take it: the store that the message was about, any of the "
            "campaign's stores, or any at all."
        ),
    ] = "store"


class Reminder(Spec, frozen=True, kw_only=True):
    """Of which coupons a campaign on `coupon_expiring` speaks, and how long before they end."""

    before: Annotated[DurationText, Meta(description="How long before the end: 24h.")] = "24h"
    campaigns: Annotated[
        list[Id], Meta(description="Whose coupons; those of all campaigns by default.")
    ] = []


class Message(Spec, frozen=True, kw_only=True):
    """One of several messages of a campaign."""

    id: Annotated[Id, Meta(description="Reports tell the messages apart by it.")]
    weight: Annotated[
        float, Meta(ge=0, le=1_000, description="In a test: its part of all weights.")
    ] = 1
    message: Annotated[dict[str, str], Meta(min_length=1)]
    title: dict[str, str] = {}


class Campaign(Spec, frozen=True, kw_only=True):
    """What to say to whom, where and when."""

    id: Id
    name: str | None = None
    on: Annotated[
        Change,
        Meta(description="What to wait for; coupon_expiring speaks of a coupon about to end."),
    ]
    zones: Target = Target()
    live_from: DateText | None = None
    live_until: DateText | None = None
    paused: Annotated[
        bool, Meta(description="Says nothing for now; what it has queued waits if it holds.")
    ] = False
    audience: Annotated[str, Meta(description='For example status == "premium".')] | None = None
    window: Window | None = None
    when_closed: Annotated[bool, Meta(description="Also fire when the store is closed.")] = False
    initial: Annotated[bool, Meta(description="Also for those already inside.")] = False
    mocked: Annotated[bool, Meta(description="Also for locations the phone says are faked.")] = (
        False
    )
    hold_out: PercentText = "0%"
    cooldown: DurationText | None = None
    caps: list[Cap] = []
    levers: Annotated[list[LeverName], Meta(min_length=1)]
    message: Annotated[
        dict[str, str],
        Meta(min_length=1, description="Its text by language; or several, in `messages`."),
    ] = {}
    title: dict[str, str] = {}
    messages: Annotated[
        list[Message],
        Meta(max_length=50, description="Several messages in the place of `message` and `title`."),
    ] = []
    choose: Annotated[
        Literal["rotation", "test"],
        Meta(
            description="Of several messages: each person all of them in turn, or each person "
            "always the same one, to compare them."
        ),
    ] = "rotation"
    call_to_action: Annotated[
        Literal["directions", "call", "web", "app", "pass", "basket"],
        Meta(
            description="What the button does: the way to the store, its phone, its page, the app, "
            "the person's wallet pass, or the basket they left."
        ),
    ] = "directions"
    track_clicks: Annotated[
        bool,
        Meta(description="Links lead over engine.public_url/r/…, so that clicks are counted."),
    ] = False
    about: (
        Annotated[
            Literal["order_ready"],
            Meta(description="Only for people for whom an order lies ready at the store."),
        ]
        | None
    ) = None
    legal_basis: Annotated[
        Literal["consent", "transactional"],
        Meta(
            description="transactional, about an order only: no advertisement, so that caps over "
            "all campaigns, quiet and lawful hours do not bind it (docs/decisions.md)."
        ),
    ] = "consent"
    coupon: Coupon | None = None
    reminder: Annotated[Reminder, Meta(description="For campaigns on coupon_expiring.")] | None = (
        None
    )
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    max_age: DurationText | None = None  # older news than this is stale; engine.max_age by default
    expires: DurationText = "15m"  # a send not started by then never starts
    late_send: Literal["drop", "hold"] = "drop"  # what to do when the moment passed before sending
