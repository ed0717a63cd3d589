"""What campaigns say: templates, coupons, buttons, and whether a text fits its lever."""

from __future__ import annotations

from collections.abc import Sequence

from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.message import PLACEHOLDERS, placeholders
from geoengine.core.model import Campaign, Store

# GSM 03.38: 160 of these fit one SMS; one sign of another alphabet, and only 70 do.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")  # each takes two places
SMS_GSM, SMS_OTHER = 160, 70

# How long a placeholder's text becomes; a store's name is looked up.
_LENGTHS = {"directions": 80, "minutes": 2, "code": 10, "phone": 14, "url": 40, "name": 12}
_LENGTHS |= {"city": 14, "store": 20}
_NEEDS = {"phone": "phone", "url": "url"}  # placeholder -> the store's key behind it
_ACTION_NEEDS = {"call": "phone", "web": "url", "app": "app_link"}


def check_words(items: Items[Campaign], ix: int, spec: Campaign, stores: Sequence[Store]) -> None:
    """Report templates that cannot be filled in, and what is likely not meant."""
    used: set[str] = set()
    for key, texts in (("message", spec.message), ("title", spec.title)):
        for language, text in texts.items():
            used |= _check_template(items, ix, text, (key, language))
    _check_coupon(items, ix, spec, used)
    for name in sorted(used & _NEEDS.keys()):
        _check_stores_have(items, ix, stores, _NEEDS[name], f"{{{name}}}", "message")
    if spec.call_to_action in _ACTION_NEEDS:
        key = _ACTION_NEEDS[spec.call_to_action]
        what = f"call_to_action {spec.call_to_action}"
        _check_stores_have(items, ix, stores, key, what, "call_to_action")
    if "sms" in spec.levers:
        for language, text in spec.message.items():
            _check_sms(items, ix, text, language)


def _check_template(items: Items[Campaign], ix: int, text: str, path: tuple[str, str]) -> set[str]:
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


def _check_coupon(items: Items[Campaign], ix: int, spec: Campaign, used: set[str]) -> None:
    coupon = spec.coupon
    if coupon is None:
        if "code" in used:
            items.wrong(ix, "{code} without a coupon: expected `coupon:`", "message")
    elif coupon.kind == "shared" and not coupon.code:
        items.wrong(ix, "a shared coupon lacks `code`: expected the code all share", "coupon")
    elif coupon.kind == "unique" and coupon.code:
        what = "a unique coupon has `code`: each person's is made for them, leave it out"
        items.wrong(ix, what, "coupon", "code")
    elif "code" not in used and "wallet" not in spec.levers:
        items.doubtful(ix, "the coupon's {code} is in no message", "coupon")


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


def _check_sms(items: Items[Campaign], ix: int, text: str, language: str) -> None:
    length, fits = sms_length(text)
    if length > fits:
        what = f"about {length} signs once filled in: one SMS holds {fits}"
        items.doubtful(ix, what, "message", language)


def sms_length(template: str) -> tuple[int, int]:
    """How many places a filled-in template takes in an SMS, about, and how many there are.

    >>> sms_length("Bonjour")
    (7, 160)
    >>> sms_length("Ça y est…")[1]
    70
    """
    try:
        names = placeholders(template)
    except ValueError:
        return 0, SMS_GSM
    text = template.replace("{{", "(").replace("}}", ")")
    for name in names:
        text = text.replace(f"{{{name}}}", "x" * _LENGTHS.get(name, 0))
    if all(sign in _GSM or sign in _GSM_TWICE for sign in text):
        return len(text) + sum(sign in _GSM_TWICE for sign in text), SMS_GSM
    return len(text), SMS_OTHER
