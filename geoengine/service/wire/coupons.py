"""Coupons at the till, in people's hands, and in pools."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from geoengine.service.coupons.images import Symbology
from geoengine.service.http.wire import Name, Time

CodeText = Annotated[
    str, Meta(min_length=1, max_length=512, description="A code as typed, or all a QR code says.")
]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217: EUR.")]


class RedemptionBody(Struct, forbid_unknown_fields=True):
    """A code at a till."""

    code: CodeText
    store_id: Annotated[
        Name | UnsetType, Meta(description="Which store; of a key bound to one, that one.")
    ] = UNSET
    amount: Annotated[
        Decimal | UnsetType,
        Meta(description='Of the purchase, in units of the currency: "12.50", or a number.'),
    ] = UNSET
    currency: Currency | UnsetType = UNSET  # the engine's, where it is not told
    redemption_id: Annotated[
        Name | UnsetType,
        Meta(
            description="The till's own name for it, such as the receipt's number: sent again with "
            "the same name it is the same redemption. Codes that all share need it."
        ),
    ] = UNSET
    at: Annotated[
        Time | UnsetType, Meta(description="When, of a till that was offline; now otherwise.")
    ] = UNSET
    person_id: Annotated[
        Name | UnsetType, Meta(description="Who brings a shared code, where the till knows.")
    ] = UNSET


class RedemptionOut(Struct):
    """The redemption that counts: the first of this code, whoever asks."""

    first: bool  # whether it is the asker's; else somebody was faster, here is who and when
    status: Literal["redeemed", "refunded"]
    redemption_id: str
    code: str
    campaign_id: str
    store_id: str
    amount: str | None
    currency: str | None
    redeemed: str  # when


class CouponOut(Struct):
    """A code and how it stands."""

    code: str
    status: str  # valid, redeemed, refunded, expired, released
    kind: str
    campaign_id: str
    store_id: str | None  # where the message was about
    redeem_at: str
    valid_from: str | None  # null of a shared code whose campaign has no beginning ...
    valid_until: str | None  # ... or no end
    redemption: RedemptionOut | None


class HeldOut(Struct):
    """A coupon in somebody's hands; ``code`` is empty until a pool has given one."""

    code: str
    status: str
    campaign_id: str
    name: str
    store_id: str | None
    valid_from: str
    valid_until: str


class HeldListOut(Struct):
    """What ends first stands first; used and ended ones last."""

    coupons: list[HeldOut]


class HeldQuery(Struct):
    """Who asks."""

    device_id: Annotated[
        str, Meta(max_length=128, description="With an app's key: one of the person's devices.")
    ] = ""


class CheckQuery(Struct):
    """Where it is to be good, and which redemption of a shared code is meant."""

    store_id: Annotated[str, Meta(max_length=128)] = ""
    redemption_id: Annotated[str, Meta(max_length=128)] = ""


class TakeBackQuery(Struct):
    """Why a redemption does not count after all."""

    reason: Annotated[
        Literal["mistake", "refund"],
        Meta(description="After a mistake the code is good again, after a refund it is not."),
    ]
    redemption_id: Annotated[
        str, Meta(max_length=128, description="Of a code that all share: which one.")
    ] = ""


class TakenBackOut(Struct):
    """A redemption that does not count any more."""

    code: str
    redemption_id: str
    reason: str
    taken_back: str  # when


class ImageQuery(Struct):
    """How it is drawn."""

    symbology: Annotated[
        Symbology,
        Meta(description="voucher is a QR code that a till can check without asking: signed."),
    ] = "qr"


class CodesBody(Struct, forbid_unknown_fields=True):
    """Codes for a pool."""

    codes: Annotated[
        list[Annotated[str, Meta(max_length=128)]], Meta(min_length=1, max_length=50_000)
    ]


class UploadedOut(Struct):
    """What became of them."""

    pool_id: str
    added: int
    doubles: int  # in the pool already
    refused: list[int]  # places in the upload, from 0, of what is no code
    left: int
    total: int


class PoolOut(Struct):
    """A pool and what is left of it."""

    pool_id: str
    left: int
    total: int


class PoolsOut(Struct):
    """All pools, by name."""

    pools: list[PoolOut]


class TillKeyOut(Struct):
    """What tills check codes with when they cannot ask."""

    algorithm: str  # of vouchers
    public_key: str  # base64url; tells vouchers that are genuine, makes none
    check_key: str  # base64url; tells typed codes that were made up or misread: keep it to yourself
