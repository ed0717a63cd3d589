"""Orders and baskets as they go over the wire."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from geoengine.service.http.wire import Name, Time

OrderId = Annotated[
    str, Meta(min_length=1, max_length=64, description="The shop's own number; people read it.")
]
Page = Annotated[str, Meta(max_length=2_000, pattern=r"^https://[^\s]+$", description="https://…")]


class OrderBody(Struct, forbid_unknown_fields=True):
    """Something of a person's lies ready at a store, or will."""

    order_id: OrderId
    person_id: Name
    store_id: Name
    ready_at: Time | UnsetType = UNSET  # now, where it is not told
    until: Annotated[Time, Meta(description="Kept until then; for a week.")] | UnsetType = UNSET
    name: (
        Annotated[str, Meta(max_length=64, description="What staff is to call its owner by.")]
        | UnsetType
    ) = UNSET


class OrderOut(Struct):
    """An order, and since when the store's staff knows that its owner is on the way."""

    order_id: str
    person_id: str
    store_id: str
    ready_at: str
    until: str
    name: str = ""
    told_at: str | None = None


class OrdersOut(Struct):
    """Orders, or a page of them; `next` begins the next one."""

    orders: list[OrderOut]
    next: str


class OrdersQuery(Struct):
    """Whose orders, or which store's; all of them otherwise."""

    person_id: Annotated[str, Meta(max_length=128)] = ""
    store_id: Annotated[str, Meta(max_length=128)] = ""
    start: Annotated[str, Meta(max_length=500)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class Closed(Struct):
    """Whether it was still there."""

    closed: bool


class BasketBody(Struct, forbid_unknown_fields=True):
    """Something a person left in a basket."""

    person_id: Name
    expires_in: Annotated[
        str,
        Meta(pattern=r"^[0-9]{1,4}(\.[0-9]+)?(s|m|h|d)$", description="When it is forgotten: 2d."),
    ]
    url: Annotated[Page, Meta(description="Where it waits for them.")] | UnsetType = UNSET
    value: Annotated[float, Meta(ge=0, le=1e9)] | UnsetType = UNSET
    items: Annotated[int, Meta(ge=0, le=100_000, description="How many.")] | UnsetType = UNSET


class BasketOut(Struct):
    """Until when it is remembered."""

    person_id: str
    until: str
