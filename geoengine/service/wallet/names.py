"""How a wallet stands in the record: which wallets hold a person's pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from geoengine.core.record import Record
from geoengine.state.amending import Amended

APPLE: Final = "apple"
GOOGLE: Final = "google"


def wallets_of(address: str) -> list[tuple[str, str]]:
    """Wallets and the serial numbers in them.

    >>> wallets_of("apple:1f google:1f")
    [('apple', '1f'), ('google', '1f')]
    """
    parts = (part.partition(":") for part in address.split())
    return [(wallet, serial) for wallet, _, serial in parts]


def with_wallet(wallet: str, serial: str) -> Callable[[Record], Amended]:
    """The pass is in this wallet."""

    def change(record: Record) -> Amended:
        known, name = record.addresses.get("wallet", "").split(), f"{wallet}:{serial}"
        if name in known:
            return Amended(is_nothing=True)
        record.addresses["wallet"] = " ".join([*known, name])
        return Amended()

    return change


def without_wallet(wallet: str, serial: str) -> Callable[[Record], Amended]:
    """The pass is in this wallet no more."""

    def change(record: Record) -> Amended:
        known, name = record.addresses.get("wallet", "").split(), f"{wallet}:{serial}"
        left = [one for one in known if one != name]
        if left == known:
            return Amended(is_nothing=True)
        if left:
            record.addresses["wallet"] = " ".join(left)
        else:
            del record.addresses["wallet"]
        return Amended()

    return change
