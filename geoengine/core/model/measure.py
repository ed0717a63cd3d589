"""How what campaigns did is measured."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from geoengine.core.model.words import DurationText, Metres, Share, Spec

MostText = Annotated[
    str,
    Meta(
        pattern=r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$",
        description="A share of all people, at most 100%: 5%.",
    ),
]


class DoorSpec(Spec, frozen=True, kw_only=True):
    """When being near a shop counts as a visit, where no beacon and no outline tells."""

    radius_m: Annotated[
        Metres,
        Meta(description="A zone around the store that is no larger counts as its door."),
    ] = 50
    stay: Annotated[DurationText, Meta(description="How long at the least.")] = "3m"
    confidence: Share = 0.6


class MeasureSpec(Spec, frozen=True, kw_only=True):
    """What counts as an effect."""

    consent: Annotated[
        Literal["required", "location"],
        Meta(
            description="Whose visits are counted: of who agreed to `measurement`, or of who "
            "agreed to be located, where the text they agreed to says so."
        ),
    ] = "required"
    hold_out: Annotated[
        MostText, Meta(description="Who hears of no campaign at all, to compare with the others.")
    ] = "0%"
    window: Annotated[
        DurationText, Meta(description="A visit this long after a message may be its doing.")
    ] = "7d"
    outline_stay: Annotated[
        DurationText, Meta(description="How long in the outline of a shop is a visit.")
    ] = "1m"
    door: DoorSpec = DoorSpec()
    currency: Annotated[
        str,
        Meta(pattern="^[A-Z]{3}$", description="ISO 4217: of amounts that come without one."),
    ] = "EUR"
    people_min: Annotated[
        int, Meta(ge=2, description="Figures about fewer people than this are not shown.")
    ] = 20
