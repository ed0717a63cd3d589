"""Gateways: each must stand in a place of a store that exists, and should keep its secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.model import WHOLE_STORE, Gateway, Store

SECRET_SHORT = 16  # characters; anything shorter can be guessed


def heard_whole(items: Items[Gateway]) -> frozenset[str]:
    """The stores in which a gateway listens that is told no place."""
    return frozenset(gateway.store for gateway in items.values if gateway.place == WHOLE_STORE)


def by_id(items: Items[Gateway], stores: Items[Store]) -> dict[str, Gateway]:
    """The gateways by id; what is wrong with the others goes to their report."""
    places = {
        store.id: sorted({beacon.place for beacon in store.beacons}) for store in stores.values
    }
    known: dict[str, Gateway] = {}
    for ix, gateway in items:
        if gateway.id in known:
            items.wrong(ix, f"gateway id `{gateway.id}` is taken", "id")
        else:
            _check_place(items, ix, gateway, places)
            _check_secret(items, ix, gateway)
            if gateway.url is not None and gateway.kind != "cassia":
                items.wrong(ix, "only a gateway of kind cassia is connected to: no `url`", "url")
        known.setdefault(gateway.id, gateway)
    return known


def _check_place(
    items: Items[Gateway], ix: int, gateway: Gateway, places: Mapping[str, Sequence[str]]
) -> None:
    if gateway.store not in places:
        guess = suggestion(gateway.store, places) or ": expected the id of a store"
        items.wrong(ix, f"store `{gateway.store}` does not exist{guess}", "store")
    elif gateway.place != WHOLE_STORE and gateway.place not in places[gateway.store]:
        inside = places[gateway.store]
        guess = suggestion(gateway.place, inside) or f": it has {', '.join(inside) or 'none'}"
        what = f"`{gateway.store}` has no beacon place `{gateway.place}`{guess}"
        items.wrong(ix, what, "place")


def _check_secret(items: Items[Gateway], ix: int, gateway: Gateway) -> None:
    if gateway.secret is not None and gateway.kind is None:
        what = "a secret opens /in/gw/KIND: expected `kind`, or no secret"
        items.wrong(ix, what, "secret")
    elif isinstance(gateway.secret, str):
        short = " and is short enough to be guessed" * (len(gateway.secret) < SECRET_SHORT)
        what = (
            f"the secret of gateway `{gateway.id}` can be read by everybody who edits this"
            f"{short}: better {{env: NAME}}"
        )
        items.doubtful(ix, what, "secret")
