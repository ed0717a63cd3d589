"""How the engine itself behaves, and everything configured together."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from geoengine.core.model.campaigns import (
    Campaign,
    Cap,
)
from geoengine.core.model.levers import EmailSpec, PushSpec, SmsSpec, WebhookSpec
from geoengine.core.model.measure import MeasureSpec
from geoengine.core.model.orders import OrdersSpec
from geoengine.core.model.places import (
    Gateway,
    PresenceSpec,
    Store,
    Zone,
)
from geoengine.core.model.wallet import WalletSpec
from geoengine.core.model.words import (
    CountryText,
    DurationText,
    LeverName,
    Purpose,
    SecretFrom,
    Spec,
)

IdentifierKind = Literal["loyalty", "email", "phone"]


class ConsentSpec(Spec, frozen=True, kw_only=True):
    """What people must have agreed to, how long that stands, and who counts as one person."""

    location: Literal["required", "assumed"] = "required"
    expires: Annotated[
        DurationText, Meta(description="How long a consent stands; 0s for no end. 25 months.")
    ] = "760d"
    expires_by_purpose: Annotated[
        dict[Purpose, DurationText], Meta(description="Where one stands for another time.")
    ] = {}
    notice: Annotated[
        DurationText,
        Meta(description="How long before its end geoengine.consent.expiring is told; 0s never."),
    ] = "30d"
    minor_under: Annotated[
        int,
        Meta(ge=13, le=18, description="Years of age below which nothing is said to anybody."),
    ] = 15
    stop_words: Annotated[
        list[Annotated[str, Meta(min_length=2, max_length=30)]],
        Meta(
            description="Answers that mean STOP, beside the English and French ones.", max_length=50
        ),
    ] = []
    identify: Annotated[
        list[IdentifierKind],
        Meta(description="Two records that share one of these are one person's."),
    ] = field(default_factory=lambda: ["loyalty"])


class RetentionSpec(Spec, frozen=True, kw_only=True):
    """How long what is remembered of people is kept; beside `decisions_kept`."""

    facts: Annotated[
        DurationText, Meta(description="Visits, sends, redemptions: what reports count.")
    ] = "90d"
    messages: Annotated[
        DurationText,
        Meta(description="Those that have ended, with address and text; at least 4d."),
    ] = "7d"
    links: Annotated[
        DurationText, Meta(description="Whose a short link is: so long are clicks counted.")
    ] = "30d"  # later a link tells more of somebody's habits than of a campaign
    codes: Annotated[
        DurationText, Meta(description="Coupons that have ended, and their redemptions; from 7d.")
    ] = "90d"  # tills say why not, goods come back: the month of most shops, a quarter's books
    people: Annotated[
        DurationText,
        Meta(description="Who has not been heard of for so long is erased; 0s never."),
    ] = "1096d"
    proofs: Annotated[
        DurationText, Meta(description="The consents of somebody erased, without a name.")
    ] = "1827d"
    suppressions: Annotated[
        DurationText, Meta(description="Addresses that said STOP; 0s for ever.")
    ] = "0s"


class RoadsSpec(Spec, frozen=True, kw_only=True):
    """The road network that `geoengine zones build` asks how far the minutes go."""

    router: Literal["valhalla", "openrouteservice"]
    url: Annotated[str, Meta(description="Of its HTTP service: http://127.0.0.1:8002.")] | None = (
        None
    )
    tiles: (
        Annotated[str, Meta(description="Of an embedded Valhalla: its folder of tiles.")] | None
    ) = None
    key: SecretFrom | None = None  # of a hosted openrouteservice


class EngineSpec(Spec, frozen=True, kw_only=True):
    """How the engine itself behaves."""

    state: str = "local:var/geoengine.db"
    data: Annotated[
        str, Meta(description="The folder of what `data add` and `zones build` keep.")
    ] = "var/data"
    roads: RoadsSpec | None = None
    consent: ConsentSpec = ConsentSpec()
    retention: RetentionSpec = RetentionSpec()
    presence: PresenceSpec = PresenceSpec()
    pause: (
        Annotated[
            Literal["marketing", "everything"],
            Meta(
                description="Nothing is said to people until this is taken out again: marketing "
                "lets transactional campaigns go on, everything stops them too. Webhooks and the "
                "log go on."
            ),
        ]
        | None
    ) = None
    caps: list[Cap] = []  # all campaigns together, per person
    quiet_hours: (
        Annotated[
            str, Meta(description="OSM hours in the person's time when people are left alone.")
        ]
        | None
    ) = None
    lawful_hours: Annotated[
        dict[LeverName, str | dict[CountryText, str]],
        Meta(
            description="OSM hours, person's time, by lever: for every country, or by country. An "
            "SMS keeps to those of the store's and of the number's. Where it is not said: FR Mo-Sa "
            "08:00-20:00; PH off, US Mo-Su 08:00-20:00, others as FR."
        ),
    ] = {}
    max_age: DurationText = "5m"
    visit_group: DurationText = "30m"  # visits opened within it of one another share one message
    last_fixes: Annotated[int, Meta(ge=1_000, le=50_000_000)] = 1_000_000  # devices remembered
    decisions_kept: DurationText = "90d"
    public_url: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://[^\s?#]+$",
                description="Where phones and providers reach this service: https://geo.example.com.",
            ),
        ]
        | None
    ) = None
    push: PushSpec | None = None
    sms: SmsSpec | None = None
    email: EmailSpec | None = None
    wallet: WalletSpec | None = None
    webhook: WebhookSpec | None = None
    webhooks: list[WebhookSpec] = []  # further endpoints, each with an id of its own
    measure: MeasureSpec = MeasureSpec()
    orders: OrdersSpec = OrdersSpec()


class Catalogue(Spec, frozen=True, kw_only=True):
    """Everything a directory of YAML files says, merged."""

    stores: list[Store] = []
    zones: list[Zone] = []
    campaigns: list[Campaign] = []
    gateways: list[Gateway] = []
    engine: EngineSpec = EngineSpec()
