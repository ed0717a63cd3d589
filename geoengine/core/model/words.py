"""What several nouns are written with: names, durations, shares, secrets that stand elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
        description="Letters, digits and . _ : - ; at most 128 of them, starting with a letter "
        "or a digit.",
    ),
]
ZoneName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._:-]{0,127})?$",
        description="The id of a zone or store, or STORE/PLACE of beacons or an outline.",
    ),
]
DurationText = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(s|m|h|d)$", description="For example 90s, 15m, 2h, 7d.")
]
PercentText = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?%$", description="For example 10%.")]
DateText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$",
        description="A day, 2026-11-21, or an instant, 2026-11-21T18:00:00+01:00.",
    ),
]
CountryText = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1: FR.")]
LeverName = Literal["push", "sms", "email", "wallet", "webhook", "log"]
Purpose = Literal["location", "push", "sms", "email", "wallet", "measurement"]
Decided = Literal["city", "suburb", "countryside"]
Setting = Literal[Decided, "auto"]
Mode = Literal["walk", "drive", "bike", "transit"]
Change = Literal["enter", "dwell", "exit", "crossed", "coupon_expiring"]
Share = Annotated[float, Meta(ge=0, le=1)]
Metres = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]

LEVERS: tuple[LeverName, ...] = ("push", "sms", "email", "wallet", "webhook", "log")
PERSON_LEVERS = frozenset({"push", "sms", "email", "wallet"})  # each needs a consent of its own
SYSTEM_LEVERS = frozenset({"webhook", "log"})  # these reach systems: `location` is enough
# What people agree to: being located, each lever, and being counted one by one in results.
PURPOSES = frozenset({"location", "measurement"}) | PERSON_LEVERS


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a marketer may write; anything else is a fault with a place."""


class SecretFrom(Spec, frozen=True, kw_only=True):
    """A secret that stands elsewhere: in a variable of the service's environment."""

    env: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="The variable's name."),
    ]
