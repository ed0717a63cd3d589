"""Passes of a person."""

from __future__ import annotations

from msgspec import Struct


class PassOut(Struct):
    """A person's pass: the link to hand to them, and the wallets that hold it."""

    person_id: str
    link: str  # good for as long as the pass; on an iPhone the pass, elsewhere Google's wallet
    wallets: list[str]  # apple, google
    phones: int  # Apple's that have it
    updated: str
