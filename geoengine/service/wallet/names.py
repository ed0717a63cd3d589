"""How a wallet stands in the record: which wallets hold a person's pass.

A person has one pass. Where two people turn out to be one, the pass of the person's own record goes
on, and the other one ends (`ending`).
"""

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


def kept_serial(address: str) -> str:
    """The serial number of the pass that goes on; "" where no wallet has one.

    >>> kept_serial("apple:1f google:1f"), kept_serial("")
    ('1f', '')
    """
    return next((serial for _, serial in reversed(wallets_of(address))), "")


def with_wallet(wallet: str, serial: str) -> Callable[[Record], Amended]:
    """The pass is in this wallet; nothing of one beside the pass that goes on."""

    def change(known: list[str]) -> list[str]:
        is_kept = kept_serial(" ".join(known)) in ("", serial)
        return [*known, f"{wallet}:{serial}"] if is_kept else known

    return _rewriting(change)


def without_wallet(wallet: str, serial: str) -> Callable[[Record], Amended]:
    """The pass is in this wallet no more."""
    return _rewriting(lambda known: [name for name in known if name != f"{wallet}:{serial}"])


def _rewriting(change: Callable[[list[str]], list[str]]) -> Callable[[Record], Amended]:
    def amended(record: Record) -> Amended:
        known = record.addresses.get("wallet", "").split()
        after = list(dict.fromkeys(change(known)))
        if after == known:
            return Amended(is_nothing=True)
        record.addresses.pop("wallet", None)
        if after:
            record.addresses["wallet"] = " ".join(after)
        return Amended()

    return amended
