"""What a store's own devices say of orders (`engine.orders.staff`), checked as campaigns are."""

from __future__ import annotations

from geoengine.catalog.building.lengths import (
    PUSH_MAX_BYTES,
    PUSH_REST_BYTES,
    filled,
    telling,
    words_of,
)
from geoengine.catalog.reading.gather import Gathered
from geoengine.catalog.reading.report import suggestion
from geoengine.core.model import OrdersSpec, StaffSpec, Store
from geoengine.core.saying.templates import placeholders
from geoengine.core.telling.staff import PLACEHOLDERS


def check_staff(found: Gathered, stores: list[Store]) -> None:
    """Report texts that cannot be filled in, do not fit a push, or lack a language."""
    spec = found.engine.orders
    if spec == OrdersSpec():
        return
    if found.engine.push is None:
        what = "orders: nothing is pushed to stores' devices without `engine.push`"
        found.engine_doubt(what, "orders")
    sound = [
        _is_sound(found, key, language, text)
        for key in ("title", "message")
        for language, text in getattr(spec.staff, key).items()
    ]
    if all(sound):
        _check_lengths(found, spec.staff, words_of(telling(stores)))
    missing = sorted(spec.staff.message.keys() - spec.staff.title.keys())
    if spec.staff.title and missing:
        what = f"orders.staff: no title in {', '.join(missing)}, so it is in another language"
        found.engine_doubt(what, "orders", "staff")


def _is_sound(found: Gathered, key: str, language: str, text: str) -> bool:
    """Whether a text can be filled in; what stands against it is reported."""
    name, path = f"orders.staff.{key}.{language}", ("staff", key, language)
    try:
        strange = sorted(placeholders(text) - PLACEHOLDERS)
    except ValueError as error:
        what = f"{name} does not parse: {error}; a brace itself is written {{{{ or }}}}"
        found.engine_fault(what, "orders", *path)
        return False
    for one in strange:
        guess = suggestion(one, PLACEHOLDERS) or f": expected {', '.join(sorted(PLACEHOLDERS))}"
        found.engine_fault(f"{name}: placeholder {{{one}}} is unknown{guess}", "orders", *path)
    return not strange


def _check_lengths(found: Gathered, spec: StaffSpec, words: dict[str, str]) -> None:
    for language, text in spec.message.items():
        texts = (text, spec.title.get(language, ""))
        least, likely = (sum(len(filled(one, by).encode()) for one in texts) for by in ({}, words))
        name, path = f"orders.staff.message.{language}", ("staff", "message", language)
        if least > PUSH_MAX_BYTES:
            what = f"{name}: {least:,} bytes: expected at most {PUSH_MAX_BYTES:,}, all of a push"
            found.engine_fault(what, "orders", *path)
        elif likely > PUSH_MAX_BYTES - PUSH_REST_BYTES:
            what = f"{name}: about {likely:,} bytes: with ids it may be more than a push carries"
            found.engine_doubt(what, "orders", *path)
