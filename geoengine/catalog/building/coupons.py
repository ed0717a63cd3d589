"""Coupons and reminders as marketers write them: what belongs to which kind, who is told."""

from __future__ import annotations

from typing import Final

from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.calendar import duration_ms
from geoengine.core.model import Campaign, Coupon

_EXPIRING: Final = "coupon_expiring"
# kind -> the keys that are its own, and what is missing without them; no other kind has them
_OWN: Final = {
    "shared": ("code", "a shared coupon lacks `code`: expected the code all share"),
    "pool": ("pool", "a coupon from a pool lacks `pool`: expected the name of uploaded codes"),
}  # fmt: skip
_STRANGE: Final = {
    ("unique", "code"): "a unique coupon has `code`: each person's is made for them, leave it out",
    ("pool", "code"): "a coupon from a pool has `code`: its codes are uploaded, leave it out",
}  # fmt: skip


def check_coupon(items: Items[Campaign], ix: int, spec: Campaign, used: set[str]) -> None:
    """Report a coupon that cannot be given, and one that nobody is told; ``used`` are the words of
    the campaign's messages.
    """
    coupon = spec.coupon
    if spec.on == _EXPIRING:
        if coupon is not None:
            items.wrong(ix, "a reminder gives no coupon of its own: leave `coupon` out", "coupon")
        return
    if spec.reminder is not None:
        items.wrong(ix, f"`reminder` is for campaigns with `on: {_EXPIRING}`", "reminder")
    if coupon is None:
        if "code" in used:
            items.wrong(ix, "{code} without a coupon: expected `coupon:`", "message")
        return
    _check_kind(items, ix, coupon)
    if "code" not in used and "wallet" not in spec.levers and ix not in items.left_out:
        items.doubtful(ix, "the coupon's {code} is in no message", "coupon")


def _check_kind(items: Items[Campaign], ix: int, coupon: Coupon) -> None:
    own, missing = _OWN.get(coupon.kind, ("", ""))
    if own and not getattr(coupon, own):
        items.wrong(ix, missing, "coupon")
    for key in ("code", "pool"):
        if key != own and getattr(coupon, key):
            usual = f"`{key}` is not for a {coupon.kind} coupon: leave it out"
            items.wrong(ix, _STRANGE.get((coupon.kind, key), usual), "coupon", key)
    if coupon.limit is not None and coupon.kind != "shared":
        what = f"a {coupon.kind} coupon has `limit`: each code of it counts once, leave it out"
        items.wrong(ix, what, "coupon", "limit")


def check_reminders(items: Items[Campaign]) -> None:
    """Report reminders of coupons that nobody gives, or that end before they could be told of."""
    coupons = {spec.id: spec.coupon for _ix, spec in items if spec.coupon is not None}
    for ix, spec in items:
        if spec.on != _EXPIRING:
            continue
        if not coupons:
            items.doubtful(ix, "no campaign gives a coupon to remind of", "on")
        for row, name in enumerate(spec.reminder.campaigns if spec.reminder else ()):
            if name not in coupons:
                known = suggestion(name, coupons) or ": expected a campaign with a coupon"
                what = f"campaign `{name}` gives no coupon{known}"
                items.wrong(ix, what, "reminder", "campaigns", row)
        _check_notice(items, ix, spec, coupons)


def _check_notice(
    items: Items[Campaign], ix: int, spec: Campaign, coupons: dict[str, Coupon]
) -> None:
    if spec.reminder is None:
        return
    names = spec.reminder.campaigns or list(coupons)
    spans = {name: coupons[name].valid for name in names if name in coupons}
    short = [name for name, valid in spans.items() if _is_short(valid, spec.reminder.before)]
    if short:
        shown = ", ".join(short[:3]) + (" …" if len(short) > 3 else "")
        what = f"no reminder of coupons that are valid for no longer than its notice: {shown}"
        items.doubtful(ix, what, "reminder")


def _is_short(valid: str, before: str) -> bool:
    return duration_ms(valid) <= duration_ms(before)
