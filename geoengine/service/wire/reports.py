"""Reports as they go over the wire. What is hidden says so, and holds no figure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from geoengine.core.model import DurationText

Moment = Annotated[
    str,
    Meta(
        pattern=r"^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$",
        description="A day, 2026-11-21, which begins at midnight where most stores are, or an "
        "instant, 2026-11-21T18:00:00+01:00.",
    ),
]
By = Literal["", "store", "hour", "weekday", "variant"]
Outcome = Literal["visits", "redemptions", "revenue"]
Confidence = Annotated[
    float, Meta(ge=0, le=1, description="Visits that are less sure are left out.")
]


class Period(Struct, rename={"from_": "from"}):
    """From when on, and until when, a day being in it; 28 days up to now where nothing is said."""

    from_: Moment = ""
    to: Moment = ""
    confidence: Confidence = 0.5


class CampaignsQuery(Period):
    """Which period, how it is divided, and who is given credit for a visit."""

    by: By = ""
    credit: Literal["last", "first", "even"] = "last"
    window: (
        Annotated[DurationText, Meta(description="By default that of engine.measure.")] | None
    ) = None
    outcome: Annotated[Outcome, Meta(description="What the lift is about.")] = "visits"


class ArmOut(Struct):
    """People who were spoken to, or were not so as to compare: how many, what each did."""

    people: int | None  # none of an arm that is too small to be shown
    value: float | None = None
    low: float | None = None
    high: float | None = None


class LiftOut(Struct):
    """What speaking to people changed, a person, with 95 % intervals."""

    outcome: Outcome
    verdict: Literal["more", "fewer", "not_shown", "too_few_people"]
    treated: ArmOut
    held_out: ArmOut
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


class Figures(Struct):
    """What became of a campaign, or of a part of it."""

    people: int
    entries: int  # transitions it was asked about
    eligible: int  # of these, by the right people at the right moment
    suppressed: dict[str, int]  # by reason
    fired: int
    sent: int
    delivered: int
    failed: int
    opened: int  # triggers, not openings; so with clicks
    clicked: int
    visits: float  # credited; visits shared between campaigns are parts of one
    redemptions: int
    redemptions_seen: int  # of these, by people who were seen in the store at the time
    revenue: dict[str, float] | None  # by currency; none where too few people's
    cost: dict[str, float]
    opt_outs: int  # within a day of a message by the lever that was withdrawn
    lift: LiftOut | None = None  # none by variant: who is held out has none


class Cell(Struct):
    """A part of a campaign; hidden where too few people are in it, or could be worked out."""

    cell: str
    figures: Figures | None

    @property
    def is_hidden(self) -> bool:
        """Whether its figures are kept back."""
        return self.figures is None


class CampaignReport(Struct):
    """One campaign: all of it, and by its parts."""

    campaign_id: str
    figures: Figures | None  # none where too few people are in it
    cells: list[Cell] = []


class CampaignsReport(Struct, rename={"from_": "from"}):
    """What campaigns did in a period."""

    from_: str
    to: str
    by: By
    credit: str
    window: str
    people_min: int
    campaigns: list[CampaignReport]
    lift: LiftOut | None  # of all campaigns together, against who hears of none


class Dwell(Struct):
    """How long visits took, seconds."""

    mean: float
    median: float
    p90: float


class DayOut(Struct):
    """Visits of one day, the store's; hidden where too few people's."""

    day: str
    visits: int | None


class PlaceOut(Struct):
    """A place in a store; `heat` 1 is what the store's places are on average."""

    place: str
    visits: int | None
    dwell_s: float | None = None  # all visits together
    heat: float | None = None


class PathOut(Struct, rename={"from_": "from"}):
    """How often people went from one place to another; "" is the street."""

    from_: str
    to: str
    count: int | None


class StoreFigures(Struct):
    """What is known of the visits to a store."""

    visits: int
    people: int
    by: dict[str, int]  # beacon, outline, door
    return_rate: float  # of the people, those who came on two days or more
    dwell: Dwell
    days: list[DayOut]
    places: list[PlaceOut]  # the hottest first
    paths: list[PathOut]  # the most frequent first


class StoreReport(Struct):
    """One store; hidden where too few people came."""

    store_id: str
    figures: StoreFigures | None


class StoresReport(Struct, rename={"from_": "from"}):
    """Who came to the stores in a period."""

    from_: str
    to: str
    people_min: int
    stores: list[StoreReport]
