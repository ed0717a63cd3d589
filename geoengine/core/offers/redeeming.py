"""What becomes of a code: one card each, judged here, put by whoever holds the state.

=========  =======================================================================================
reserved   told to nobody yet as far as is known; good at the till, since an app may show it early
given      its message was delivered
released   its message certainly reached nobody: the code is good for nothing, until a pool gives it
           to somebody else
=========  =======================================================================================

A code is redeemed once: whoever comes first writes the redemption on the card, by compare-and-swap,
and everybody after reads it there. Taken back as a mistake the code is good again; taken back as a
refund the money is, and the code is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import field

from geoengine.core.record import Packed
from geoengine.core.units import DAY_MS, MINUTE_MS

State = Literal["reserved", "given", "released"]
Scope = Literal["store", "campaign", "anywhere"]
Taken = Literal["", "mistake", "refund"]
Kind = Literal["unique", "pool", "shared"]

OFFLINE_MS: Final = 7 * DAY_MS  # how late a till may tell of what it did while it was offline
# How far a till's clock may be off, either way; more is a mistake. Less refuses codes that were
# given a minute ago.
AHEAD_MS: Final = 5 * MINUTE_MS


class Redemption(Packed):
    """A code at a till."""

    redemption_id: str
    store_id: str
    at_ms: int
    amount: str = ""  # in units of the currency, as written: 12.50; "" where none was told
    currency: str = ""  # ISO 4217
    is_noted: bool = False  # in the record, the facts and the outbox
    taken_back: Taken = ""
    taken_back_ms: int = 0
    is_back_noted: bool = False


class Issued(Packed):
    """A code that was made for somebody, or was taken from a pool for them."""

    code: str
    kind: Kind
    campaign_id: str
    trigger_id: str
    store_id: str  # where the trigger was about
    scope: Scope
    from_ms: int
    until_ms: int
    state: State = "reserved"
    redemption: Redemption | None = None
    before: list[Redemption] = field(default_factory=list)  # taken back as mistakes

    @property
    def is_used(self) -> bool:
        """Whether it was redeemed, and not by mistake."""
        return self.redemption is not None

    @property
    def last(self) -> Redemption | None:
        """The redemption that counts, else the last that was taken back as a mistake."""
        return self.redemption or (self.before[-1] if self.before else None)


def unpacked(body: bytes) -> Issued:
    """A card's body."""
    return msgspec.msgpack.decode(body, type=Issued)


def packed(issued: Issued) -> bytes:
    """As a card's body."""
    return msgspec.msgpack.encode(issued)


Fits = Callable[[Issued], bool]  # whether the till's store is one where this code counts


def why_not(issued: Issued, at_ms: int, fits: Fits) -> str:
    """Why a code that nobody has redeemed yet is not good at a till; "" where it is."""
    if issued.state == "released":
        return "coupon_released"
    if not fits(issued):
        return "coupon_wrong_store"
    if at_ms < issued.from_ms - AHEAD_MS:
        return "coupon_not_yet"
    return "coupon_expired" if at_ms >= issued.until_ms else ""


def standing(issued: Issued, now_ms: int) -> str:
    """How a code stands, in a word."""
    if issued.redemption is not None:
        return "refunded" if issued.redemption.taken_back else "redeemed"
    if issued.state == "released":
        return "released"
    return "expired" if now_ms >= issued.until_ms else "valid"


def redeem(issued: Issued, asked: Redemption, fits: Fits) -> str:
    """Redeem it, unless somebody has; why it cannot be, or "" with the redemption that counts."""
    if issued.redemption is not None:
        return ""
    if not (why := why_not(issued, asked.at_ms, fits)):
        issued.redemption = asked
    return why


def take_back(issued: Issued, why: Taken, now_ms: int) -> str:
    """Take its redemption back; why that cannot be, or "". What is taken back already stays so."""
    redemption = issued.last
    if redemption is None:
        return "redemption_unknown"
    if not redemption.taken_back:
        redemption.taken_back, redemption.taken_back_ms = why, now_ms
    return ""


def reopen(issued: Issued) -> None:
    """Good again after a mistake, once everybody has heard of it."""
    redemption = issued.redemption
    if redemption is not None and redemption.taken_back == "mistake":
        issued.before.append(redemption)
        issued.redemption = None
