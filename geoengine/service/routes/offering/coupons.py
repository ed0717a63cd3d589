"""Coupons: redeemed, looked at and taken back by tills; shown to who holds them; pools filled."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from decimal import Decimal
from typing import Final

from msgspec import UNSET

from geoengine.core.calendar import FOREVER_MS, rfc3339
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import AHEAD_MS, OFFLINE_MS, Issued, Redemption
from geoengine.core.record import HeldCoupon, Record
from geoengine.ingest.names import is_name
from geoengine.ingest.times import time_ms
from geoengine.service.context import Answer, Call, Context
from geoengine.service.coupons.images import TYPES, picture
from geoengine.service.coupons.till import Asked, Refusal, Told
from geoengine.service.coupons.vouchers import opened, public_key, sealed
from geoengine.service.http.problems import Problem
from geoengine.service.routes.persons.naming import name_in, owner_of, record_of
from geoengine.service.routes.table import APPS, GATEWAY, HEARERS, SERVER, Route
from geoengine.service.wire import coupons as wire

TILLS: Final = frozenset({GATEWAY, SERVER})
AMOUNT_MAX: Final = Decimal(1_000_000_000)  # no receipt is longer; more is a slip of the scanner
AMOUNT_PLACES: Final = 4  # the most decimals of any currency in ISO 4217
_ID: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")


# --- the till -----------------------------------------------------------------------------------


async def post_redemption(context: Context, call: Call) -> wire.RedemptionOut:
    """Redeem a code; the first wins, all others are told of that one."""
    body = call.read(wire.RedemptionBody)
    store_id = _store(call, "" if body.store_id is UNSET else body.store_id)
    if not store_id:
        raise Problem("malformed", "store_id is needed with a key that is bound to no store.")
    amount = "" if body.amount is UNSET else _amount(body.amount)
    currency = context.book.engine.spec.measure.currency
    asked = Asked(
        code=_code(context, body.code),
        store_id=store_id,
        at_ms=_at_ms(body, context.clock()),
        amount=amount,
        currency=(currency if body.currency is UNSET else body.currency) if amount else "",
        redemption_id="" if body.redemption_id is UNSET else body.redemption_id,
        person_id="" if body.person_id is UNSET else body.person_id,
    )
    try:
        told = await context.coupons.till.redeem(asked)
    except Refusal as refusal:
        raise Problem(refusal.reason, refusal.detail) from None
    context.metrics.redemptions.add(("first" if told.is_first else "again",))
    return _redemption_out(told)


async def get_coupon(context: Context, call: Call) -> wire.CouponOut:
    """How a code stands, without redeeming it."""
    query = call.ask(wire.CheckQuery)
    code, store_id = _code(context, call.path["code"]), _store(call, query.store_id)
    try:
        found = await context.coupons.till.look(code, store_id, query.redemption_id)
    except Refusal as refusal:
        raise Problem(refusal.reason, refusal.detail) from None
    issued = found.issued if isinstance(found, Told) else found
    return wire.CouponOut(
        code=issued.code,
        status=redeeming.standing(issued, context.clock()),
        kind=issued.kind,
        campaign_id=issued.campaign_id,
        store_id=issued.store_id or None,
        redeem_at=issued.scope,
        valid_from=rfc3339(issued.from_ms) if issued.from_ms else None,
        valid_until=rfc3339(issued.until_ms) if issued.until_ms < FOREVER_MS else None,
        redemption=_redemption_out(found) if isinstance(found, Told) else None,
    )


async def delete_redemption(context: Context, call: Call) -> wire.TakenBackOut:
    """Take a redemption back: a mistake, or a refund."""
    query = call.ask(wire.TakeBackQuery)
    code = _code(context, call.path["code"])
    try:
        told = await context.coupons.till.take_back(
            code, query.reason, call.caller.store_id, query.redemption_id
        )
    except Refusal as refusal:
        raise Problem(refusal.reason, refusal.detail) from None
    back = told.redemption
    return wire.TakenBackOut(
        told.issued.code, back.redemption_id, back.taken_back, rfc3339(back.taken_back_ms)
    )


async def get_till_key(context: Context, _call: Call) -> wire.TillKeyOut:
    """What tills check codes with when they cannot ask."""
    key = context.book.coupon_key
    check = urlsafe_b64encode(coupons.check_key(key)).decode().rstrip("=")
    return wire.TillKeyOut("Ed25519", public_key(key), check)


def _store(call: Call, named: str) -> str:
    """The store of a till; a key that is bound to one speaks for no other."""
    bound = call.caller.store_id
    if call.caller.kind == "gateway" and bound is None:
        raise Problem("forbidden", "A till's key is bound to its store: STORE=KEY.")
    if bound is not None and named not in ("", bound):
        raise Problem("forbidden", f"This key is bound to the store {bound}.")
    return bound or named


def _code(context: Context, text: str) -> str:
    """The code in what was typed or scanned."""
    if "." not in text:
        return text
    voucher = opened(text, public_key(context.book.coupon_key))
    if voucher is None:
        raise Problem("coupon_unknown", "This voucher is not ours, or not whole.")
    return voucher.code


def _amount(amount: Decimal) -> str:
    """An amount as it is kept: plain decimal text."""
    exponent = amount.as_tuple().exponent
    is_plain = isinstance(exponent, int) and exponent >= -AMOUNT_PLACES
    if not is_plain or not 0 <= amount <= AMOUNT_MAX:
        what = f"from 0 to {AMOUNT_MAX}, up to {AMOUNT_PLACES} decimals"
        raise Problem("malformed", f"amount: expected {what} - at `$.amount`")
    return f"{abs(amount):f}"


def _at_ms(body: wire.RedemptionBody, now_ms: int) -> int:
    """When it was redeemed."""
    if body.at is UNSET:
        return now_ms
    at_ms = time_ms(body.at)
    if not now_ms - OFFLINE_MS <= at_ms <= now_ms + AHEAD_MS:
        raise Problem("malformed", "at: expected a time of the last seven days - at `$.at`")
    return min(at_ms, now_ms)


def _redemption_out(told: Told) -> wire.RedemptionOut:
    redemption: Redemption = told.redemption
    return wire.RedemptionOut(
        first=told.is_first,
        status="refunded" if redemption.taken_back else "redeemed",
        redemption_id=redemption.redemption_id,
        code=told.issued.code,
        campaign_id=told.issued.campaign_id,
        store_id=redemption.store_id,
        amount=redemption.amount or None,
        currency=redemption.currency or None,
        redeemed=rfc3339(redemption.at_ms),
    )


# --- who holds them -----------------------------------------------------------------------------


async def get_held(context: Context, call: Call) -> wire.HeldListOut:
    """The coupons in a person's hands; what ended lately too."""
    person_id = await owner_of(context, call)
    await _require_theirs(context, call, person_id)
    record = await record_of(context, person_id)
    names = {plan.id: plan.spec.name or plan.id for plan in context.book.campaigns}
    shown = [
        await _held_out(context, record, held, names.get(held.campaign_id, held.campaign_id))
        for held in sorted(record.coupons, key=lambda held: held.until_ms)
    ]
    return wire.HeldListOut(sorted(shown, key=lambda one: one.status != "valid"))


async def _require_theirs(context: Context, call: Call, person_id: str) -> None:
    """An app's key is in every copy of the app: it shows coupons to a device of who holds them."""
    if call.caller.kind == SERVER:
        return
    device_id = call.ask(wire.HeldQuery).device_id
    if not is_name(device_id):
        raise Problem("forbidden", "With an app's key: device_id, one of the person's devices.")
    record = await record_of(context, person_id)
    (owner,) = await context.state.owners([device_id])
    if owner != person_id or device_id not in {*record.devices, person_id}:
        raise Problem("forbidden", "This device is not known to be the person's.")


async def _held_out(context: Context, record: Record, held: HeldCoupon, name: str) -> wire.HeldOut:
    ended = "expired" if context.clock() >= held.until_ms else "valid"
    return wire.HeldOut(
        code=await context.coupons.desk.shown(held, record.person_id),
        status="redeemed" if held.is_redeemed else ended,
        campaign_id=held.campaign_id,
        name=name,
        store_id=held.store_id or None,
        valid_from=rfc3339(held.from_ms),
        valid_until=rfc3339(held.until_ms),
    )


async def get_image(context: Context, call: Call) -> Answer:
    """A code as a QR code or barcode, SVG or PNG."""
    code, suffix = call.path["code"], call.path["suffix"]
    if suffix not in TYPES:
        raise Problem("not_found", f"Pictures end in {' or '.join(TYPES)}.")
    form, symbology = suffix, call.ask(wire.ImageQuery).symbology
    if symbology == "voucher":
        code = sealed(await _issued(context, code), context.book.coupon_key)
    try:
        drawn = picture(code, symbology, form)
    except ValueError as error:
        raise Problem("bad_parameter", f"{symbology} cannot hold it: {error}.") from None
    return Answer(drawn, content_type=TYPES[form])


async def _issued(context: Context, code: str) -> Issued:
    try:
        found = await context.coupons.till.look(code)
    except Refusal as refusal:
        raise Problem(refusal.reason, refusal.detail) from None
    return found.issued if isinstance(found, Told) else found


# --- pools --------------------------------------------------------------------------------------


async def post_codes(context: Context, call: Call) -> wire.UploadedOut:
    """Add codes to a pool; those it has already are left out."""
    pool_id, body = _pool_id(call), call.read(wire.CodesBody)
    try:
        told = await context.coupons.pools.upload(pool_id, body.codes)
    except ValueError as error:
        raise Problem("malformed", str(error)) from None
    shelf = await context.coupons.pools.shelf(pool_id)
    return wire.UploadedOut(
        pool_id, told.added, told.doubles, told.refused, shelf.free_count, shelf.code_count
    )


async def get_pools(context: Context, _call: Call) -> wire.PoolsOut:
    """All pools, and what is left of each."""
    names = await context.coupons.pools.names()
    return wire.PoolsOut([await _pool_out(context, name) for name in names])


async def get_pool(context: Context, call: Call) -> wire.PoolOut:
    """What is left of a pool."""
    pool_id = _pool_id(call)
    if pool_id not in await context.coupons.pools.names():
        raise Problem("not_found", "No codes were uploaded under this name.")
    return await _pool_out(context, pool_id)


async def _pool_out(context: Context, pool_id: str) -> wire.PoolOut:
    shelf = await context.coupons.pools.shelf(pool_id)
    return wire.PoolOut(pool_id, shelf.free_count, shelf.code_count)


def _pool_id(call: Call) -> str:
    pool_id = name_in(call, "pool_id")
    if not _ID.match(pool_id):
        raise Problem("bad_parameter", "pool_id: letters, digits and . _ : - as in YAML.")
    return pool_id


_WRITES = frozenset({503})
_REFUSED = frozenset({404, 409, 503})
ROUTES_COUPONS: tuple[Route, ...] = (
    Route(
        "POST", "/v1/redemptions", post_redemption, TILLS,
        takes=wire.RedemptionBody, gives=wire.RedemptionOut, problems=_REFUSED,
    ),
    Route("GET", "/v1/till-key", get_till_key, TILLS, gives=wire.TillKeyOut),
    Route(
        "GET", "/v1/coupons/{code}.{suffix}", get_image, HEARERS,
        query=wire.ImageQuery, media_type=TYPES["svg"], problems=_REFUSED,
    ),
    Route(
        "GET", "/v1/coupons/{code}", get_coupon, TILLS,
        gives=wire.CouponOut, query=wire.CheckQuery, problems=_REFUSED,
    ),
    Route(
        "DELETE", "/v1/coupons/{code}/redemption", delete_redemption, TILLS,
        gives=wire.TakenBackOut, query=wire.TakeBackQuery, problems=_REFUSED,
    ),
    Route(
        "GET", "/v1/people/{person_id}/coupons", get_held, APPS,
        gives=wire.HeldListOut, query=wire.HeldQuery, problems=_WRITES,
    ),
    Route("GET", "/v1/pools", get_pools, gives=wire.PoolsOut, problems=_WRITES),
    Route(
        "GET", "/v1/pools/{pool_id}", get_pool, gives=wire.PoolOut, problems=_WRITES | {404},
    ),
    Route(
        "POST", "/v1/pools/{pool_id}/codes", post_codes,
        takes=wire.CodesBody, gives=wire.UploadedOut, problems=_WRITES,
    ),
)  # fmt: skip
