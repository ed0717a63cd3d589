"""What is said about orders that lie ready."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from geoengine.core.model.words import Spec

_PLACEHOLDERS = "{order}, {minutes}, {arrival}, {store}, {name}"


def _title() -> dict[str, str]:
    return {"fr": "Commande {order} {name}", "en": "Order {order} {name}"}


def _message() -> dict[str, str]:
    return {
        "fr": "On vient la chercher dans {minutes} min environ, vers {arrival}.",
        "en": "Somebody comes for it in about {minutes} min, at about {arrival}.",
    }


class StaffSpec(Spec, frozen=True, kw_only=True):
    """What a store's own devices say of somebody who comes for an order."""

    title: Annotated[
        dict[str, str], Meta(description=f"By language; may ask for {_PLACEHOLDERS}.")
    ] = field(default_factory=_title)
    message: Annotated[
        dict[str, str],
        Meta(min_length=1, description=f"By language; may ask for {_PLACEHOLDERS}."),
    ] = field(default_factory=_message)


class OrdersSpec(Spec, frozen=True, kw_only=True):
    """Click and collect."""

    staff: StaffSpec = StaffSpec()
