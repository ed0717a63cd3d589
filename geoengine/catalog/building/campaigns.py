"""Campaigns checked and planned: durations in milliseconds, expressions compiled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import geoengine.catalog.hours as hours
from geoengine.catalog.building.coupons import check_reminders
from geoengine.catalog.building.lengths import check_lengths
from geoengine.catalog.building.saying import check_saying
from geoengine.catalog.building.stores import Shops, check_ids
from geoengine.catalog.building.targets import Members, Names, check_target
from geoengine.catalog.building.words import check_words
from geoengine.catalog.building.zone_rows import Rows
from geoengine.catalog.reading.report import Items
from geoengine.core.book import CampaignPlan
from geoengine.core.calendar import FOREVER_MS, duration_ms
from geoengine.core.judging.audience import Audience, AudienceError
from geoengine.core.model import Campaign, EngineSpec, Store, Window
from geoengine.core.telling.endpoints import all_webhooks

LOOKED_AT_MAX = 64  # time zones with their holidays; no campaign spans more


def plans(
    items: Items[Campaign],
    engine: EngineSpec,
    names: Names,
    rows: Rows,
    shops: Shops,
) -> list[tuple[CampaignPlan, int]]:
    """Check all campaigns and plan those without a fault; the faults go to their report.

    With each comes how many zones it is about.
    """
    check_ids(items, {}, "campaign")
    check_reminders(items)
    planned = []
    found = Members(rows, shops, [spec.zones for _ix, spec in items])
    for ix, spec in items:
        check_target(items, ix, spec.zones, names)
        zone_ixs = found.of(spec.zones)
        if not zone_ixs and ix not in items.left_out:
            items.doubtful(ix, f"campaign `{spec.id}` matches no zone", "zones")
        stores = _stores_of(zone_ixs, rows, shops)
        check_saying(items, ix, spec, engine)
        check_words(items, ix, spec, stores)
        check_lengths(items, ix, spec, engine, stores)
        if "webhook" in spec.levers and not all_webhooks(engine):
            items.doubtful(ix, "lever webhook: `engine.webhook` says nowhere to post", "levers")
        if _percent(spec.hold_out) > 1:
            items.wrong(ix, f"hold_out is {spec.hold_out}: expected at most 100%", "hold_out")
        plan = _plan(items, ix, spec, engine, _calendars(zone_ixs, rows, stores))
        if plan is not None and ix not in items.left_out:
            planned.append((plan, len(zone_ixs)))
    return planned


def _stores_of(zone_ixs: Sequence[int], rows: Rows, shops: Shops) -> list[Store]:
    ixs = dict.fromkeys(rows.store_ix[zone_ix] for zone_ix in zone_ixs)
    return [shops.stores[ix] for ix in ixs if ix >= 0]


def _calendars(zone_ixs: Sequence[int], rows: Rows, stores: list[Store]) -> list[tuple[str, str]]:
    """Time zone and country of the campaign's zones, the commonest first."""
    counts: dict[tuple[str, str], int] = {}
    for store in stores:
        key = (store.time_zone or "UTC", store.country or "")
        counts[key] = counts.get(key, 0) + 1
    for zone_ix in zone_ixs if rows.time_zones else ():
        if zone_ix in rows.time_zones:
            key = (rows.time_zones[zone_ix], "")
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key)) or [("UTC", "")]


def _plan(
    items: Items[Campaign],
    ix: int,
    spec: Campaign,
    engine: EngineSpec,
    calendars: list[tuple[str, str]],
) -> CampaignPlan | None:
    live = _live_span(items, ix, spec, calendars[0][0])
    audience = _audience(items, ix, spec)
    window = None
    if spec.window is not None and live is not None:
        window = _window(items, ix, spec.window, live, calendars)
    if live is None:
        return None
    return CampaignPlan(
        spec=spec,
        rank=ix,
        live_from_ms=live[0],
        live_until_ms=live[1],
        audience=audience,
        window=window,
        hold_out=_percent(spec.hold_out),
        cooldown_ms=0 if spec.cooldown is None else duration_ms(spec.cooldown),
        caps=tuple(spec.caps),
        max_age_ms=duration_ms(spec.max_age or engine.max_age),
        expires_ms=duration_ms(spec.expires),
        coupon_valid_ms=0 if spec.coupon is None else duration_ms(spec.coupon.valid),
    )


def _percent(text: str) -> float:
    return float(text[:-1]) / 100


def _live_span(
    items: Items[Campaign], ix: int, spec: Campaign, zone_name: str
) -> tuple[int, int] | None:
    for key in ("live_from", "live_until"):
        text = getattr(spec, key)
        try:
            if text is not None:
                hours.instant_ms(text, zone_name)
        except ValueError as error:
            items.wrong(ix, f"{key} is {text!r}: not a day ({error})", key)
    if ix in items.left_out and not _parses(spec, zone_name):
        return None
    begins, ends = hours.live_span(spec, zone_name)
    if ends <= begins:
        what = f"live_until {spec.live_until} is before live_from {spec.live_from}"
        items.wrong(ix, f"{what}: expected a later day", "live_until")
        return None
    return begins, ends


def _parses(spec: Campaign, zone_name: str) -> bool:
    try:
        hours.live_span(spec, zone_name)
    except ValueError:
        return False
    return True


def _audience(items: Items[Campaign], ix: int, spec: Campaign) -> Audience | None:
    if spec.audience is None:
        return None
    try:
        return Audience(spec.audience)
    except AudienceError as error:
        what = f'audience does not compile: {error}; expected as status == "premium"'
        items.wrong(ix, what, "audience")
        return None


def _window(
    items: Items[Campaign],
    ix: int,
    window: Window,
    live: tuple[int, int],
    calendars: list[tuple[str, str]],
) -> str | None:
    """The window's expression, if it parses and can ever be open while the campaign lives."""
    for row, text in enumerate(window.except_dates):
        try:
            date.fromisoformat(text[:10])
        except ValueError as error:
            what = f"{text!r} is not a day ({error})"
            items.wrong(ix, what, "window", "except_dates", row)
            return None
    for key in ("days", "hours"):
        text = getattr(window, key)
        why = None if text is None else hours.problem(text)
        if why is not None:
            items.wrong(ix, f"window.{key} {why}", "window", key)
            return None
    expression = hours.window_expression(window)
    why = hours.problem(expression)
    if why is not None:
        items.wrong(ix, f"window {why}", "window")
        return None
    if not _opens(expression, live, calendars):
        what = f"window `{expression}` is never open"
        while_live = " while the campaign is live" if live != (0, FOREVER_MS) else ""
        items.wrong(ix, f"{what}{while_live}: expected a moment in which it is", "window")
    return expression


def _opens(expression: str, live: tuple[int, int], calendars: list[tuple[str, str]]) -> bool:
    begins = live[0] or min(hours.REFERENCE_MS, max(live[1] - hours.SPAN_MS, 0))
    ends = min(live[1], begins + hours.SPAN_MS)
    return any(
        hours.opens(expression, zone_name, country, begins, ends)
        for zone_name, country in calendars[:LOOKED_AT_MAX]
    )
