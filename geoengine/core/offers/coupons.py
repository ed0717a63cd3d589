"""Coupons while they are in somebody's hands: their codes, and what a record remembers of them.

A unique code is a keyed hash of its trigger and a check. Twelve signs are typed in one go and read
out over a counter; `DESIGN` of each part:

- ten signs of five bits: whoever tries a thousand codes a second against a million that are out
  there waits a quarter of an hour for the first hit, and limits at the door are slower than that;
- two signs of check, keyed too, with a key that follows from the first and does not give it away. A
  till that holds it turns away slips of the finger and 1,023 of 1,024 inventions without asking.

It comes out the same whenever the trigger is worked out again. What became of a code is on its
card, which `redeeming` judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from geoengine.core.book import CampaignPlan
from geoengine.core.calendar import rfc3339
from geoengine.core.ids import digest
from geoengine.core.record import HeldCoupon, Json, Record, Transition
from geoengine.core.units import DAY_MS

SECRET_CHARS, CHECK_CHARS = 10, 2  # of five bits each
CODE_CHARS: Final = SECRET_CHARS + CHECK_CHARS
# Stands in a message for a code that a pool gives when the message leaves: a template's own word,
# so that whoever sees it before knows what it waits for.
PENDING: Final = "{code}"
KEPT_MS: Final = 7 * DAY_MS  # an ended coupon is shown so long to who held it: "why not any more?"
HELD_MAX: Final = 100  # of one person; one more, and the one that ends first is not shown any more
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648: no 0, 1, 8 to be misread
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]


# --- codes --------------------------------------------------------------------------------------


def unique_code(trigger_id: str, key: bytes) -> str:
    """The code of a trigger's own.

    >>> is_sound(unique_code("t1", b"secret"), check_key(b"secret"))
    True
    """
    hashed = blake2b(trigger_id.encode(), key=key[:64], digest_size=8).digest()
    secret = _base32(int.from_bytes(hashed) >> (64 - 5 * SECRET_CHARS), SECRET_CHARS)
    return secret + _check(secret, check_key(key))


@lru_cache(maxsize=8)
def check_key(key: bytes) -> bytes:
    """What tills need to check codes, and nobody to make them."""
    return blake2b(b"check", key=key[:64], digest_size=16).digest()


def is_sound(code: str, key: bytes) -> bool:
    """Whether a code was made here, as far as a till with the check key can tell: a code that is
    not was misread or made up; one that is may still be redeemed, late, or made up by chance.
    """
    code = normalised(code)
    secret, check = code[:SECRET_CHARS], code[SECRET_CHARS:]
    return len(code) == CODE_CHARS and check == _check(secret, key)


def _check(secret: str, key: bytes) -> str:
    hashed = blake2b(secret.encode(), key=key, digest_size=2).digest()
    return _base32(int.from_bytes(hashed) >> (16 - 5 * CHECK_CHARS), CHECK_CHARS)


def _base32(number: int, chars: int) -> str:
    """The last digits of a number, an even count of them, two by two.

    >>> _base32(31, 10)
    'AAAAAAAAA7'
    """
    shifts = range(5 * chars - 10, -1, -10)
    return "".join([_PAIRS[number >> shift & 1_023] for shift in shifts])


def normalised(code: str) -> str:
    """A code as it counts: capitals, without blanks and hyphens, however it was typed.

    >>> normalised(" abcd-efgh ")
    'ABCDEFGH'
    """
    return "".join(code.split()).replace("-", "").upper()


def card_name(code: str) -> str:
    """The name of a code's card; a code is worth money and stands in no name."""
    return f"coupon/{digest('coupon', normalised(code))}"


# --- what a message says ------------------------------------------------------------------------


def told(plan: CampaignPlan, transition: Transition, trigger_id: str, key: bytes) -> Json:
    """What a message says of its coupon: code, end; nothing where it has none."""
    if (held := transition.coupon) is not None:
        # A reminder; a pool's code is known to the card only.
        code, until_ms = held.code or PENDING, held.until_ms
        return {"code": code, "valid_until": rfc3339(until_ms), "trigger_id": held.trigger_id}
    coupon = plan.spec.coupon
    if coupon is None:
        return {}
    codes = {"shared": coupon.code or "", "pool": PENDING}
    code = codes.get(coupon.kind) or unique_code(trigger_id, key)
    return {"code": code, "valid_until": rfc3339(transition.now_ms + plan.coupon_valid_ms)}


def filled(said: Any, code: str) -> Any:
    """What is said, wherever it waits for a code, with the code.

    >>> filled({"message": {"body": "Use {code}"}, "minutes": 5}, "A1")
    {'message': {'body': 'Use A1'}, 'minutes': 5}
    """
    if isinstance(said, str):
        return said.replace(PENDING, code)
    if isinstance(said, Mapping):
        return {name: filled(value, code) for name, value in said.items()}
    if isinstance(said, list):
        return [filled(value, code) for value in said]
    return said


# --- what a record remembers --------------------------------------------------------------------


def hold(
    record: Record, plan: CampaignPlan, transition: Transition, store_id: str, trigger_id: str,
    code: str,
) -> None:  # fmt: skip
    """Put the coupon of a trigger that fires into its person's hands."""
    now_ms = transition.now_ms
    record.coupons.append(
        HeldCoupon(
            trigger_id=trigger_id,
            campaign_id=plan.id,
            store_id=store_id,
            code="" if code == PENDING else code,
            from_ms=now_ms,
            until_ms=now_ms + plan.coupon_valid_ms,
            zone_id=transition.zone_id,
        )
    )
    if len(record.coupons) > HELD_MAX:
        record.coupons.remove(min(record.coupons, key=lambda held: held.until_ms))


def held_by(record: Record, trigger_id: str) -> HeldCoupon | None:
    """The coupon of a trigger, if its person has it."""
    return next((held for held in record.coupons if held.trigger_id == trigger_id), None)


def drop(record: Record, trigger_id: str) -> bool:
    """Take a coupon back that certainly reached nobody; whether there was one."""
    held = held_by(record, trigger_id)
    if held is not None:
        record.coupons.remove(held)
    return held is not None
