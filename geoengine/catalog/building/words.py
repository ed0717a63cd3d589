"""What campaigns say: templates, coupons, buttons."""

from __future__ import annotations

from collections.abc import Sequence

from geoengine.catalog.building.coupons import check_coupon
from geoengine.catalog.building.saying import texts_of
from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.model import Campaign, Store
from geoengine.core.saying.templates import PLACEHOLDERS, placeholders

_NEEDS = {"phone": "phone", "url": "url"}  # placeholder -> the store's key behind it
_ACTION_NEEDS = {"call": "phone", "web": "url", "app": "app_link"}


def check_words(items: Items[Campaign], ix: int, spec: Campaign, stores: Sequence[Store]) -> None:
    """Report templates that cannot be filled in, and what is likely not meant."""
    used: set[str] = set()
    for path, text in texts_of(spec):
        used |= _check_template(items, ix, text, path)
    if "order" in used and spec.about != "order_ready":
        items.wrong(ix, "{order} without an order: expected `about: order_ready`", "message")
    check_coupon(items, ix, spec, used)
    for name in sorted(used & _NEEDS.keys()):
        _check_stores_have(items, ix, stores, _NEEDS[name], f"{{{name}}}", "message")
    if spec.call_to_action in _ACTION_NEEDS:
        key = _ACTION_NEEDS[spec.call_to_action]
        what = f"call_to_action {spec.call_to_action}"
        _check_stores_have(items, ix, stores, key, what, "call_to_action")


def _check_template(
    items: Items[Campaign], ix: int, text: str, path: tuple[str | int, ...]
) -> set[str]:
    try:
        names = placeholders(text)
    except ValueError as error:
        what = f"template does not parse: {error}; a brace itself is written {{{{ or }}}}"
        items.wrong(ix, what, *path)
        return set()
    for name in sorted(names - PLACEHOLDERS):
        guess = suggestion(name, PLACEHOLDERS)
        known = ", ".join(sorted(PLACEHOLDERS))
        items.wrong(ix, f"placeholder {{{name}}} is unknown{guess or f': expected {known}'}", *path)
    return names


def _check_stores_have(
    items: Items[Campaign], ix: int, stores: Sequence[Store], key: str, what: str, path: str
) -> None:
    """A fault where no store of the campaign has what it needs, a warning where some lack it."""
    lacking = [store.id for store in stores if getattr(store, key) is None]
    if stores and len(lacking) == len(stores):
        items.wrong(ix, f"{what} needs `{key}` of the store, and none of its stores has one", path)
    elif lacking:
        shown = ", ".join(lacking[:3]) + (" …" if len(lacking) > 3 else "")
        items.doubtful(ix, f"{what}: {len(lacking)} store(s) lack `{key}`: {shown}", path)
