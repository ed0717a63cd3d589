"""How often is too often: triggers counted per person, campaign and window.

A window is a calendar hour, day or week in the person's time zone, everything so far (``total``),
or a span that slides (``24h``). What counts is the moment the trigger fired.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from geoengine.core.calendar import duration_ms, local_time
from geoengine.core.model import Cap
from geoengine.core.record import Fired, Record
from geoengine.core.units import DAY_MS, MINUTE_MS, SECOND_MS

CALENDAR = ("hour", "day", "week")
CALENDAR_MEMORY_MS = 8 * DAY_MS  # a calendar week, and a day for time zones


def reached(
    record: Record,
    limits: Iterable[Cap],
    now_ms: int,
    zone: ZoneInfo,
    *,
    campaign_id: str = "",
    label: str = "",
) -> str:
    """The first cap that one more trigger would break, as ``cap:day 2/2``; "" for none.

    Without ``campaign_id`` the triggers of all campaigns count together.
    """
    for cap in limits:
        count = counted(record, cap.per, now_ms, zone, campaign_id)
        if count >= cap.max:
            return f"cap:{label}{cap.per} {count}/{cap.max}"
    return ""


def counted(record: Record, per: str, now_ms: int, zone: ZoneInfo, campaign_id: str = "") -> int:
    """Triggers that fired in the window that ``now_ms`` lies in."""
    if per == "total":
        totals = record.fired_total
        return totals.get(campaign_id, 0) if campaign_id else sum(totals.values())
    if not record.fired:
        return 0
    since_ms = window_start_ms(per, now_ms, zone)
    inside = [fired.campaign_id for fired in record.fired if fired.at_ms >= since_ms]
    return inside.count(campaign_id) if campaign_id else len(inside)


def advertised(record: Record, transactional: Set[str]) -> Record:
    """The record as caps over all campaigns see it: without what these ones told. A copy, where
    there is anything of it: nothing of it may be kept.
    """
    if transactional.isdisjoint(record.fired_total):
        return record
    totals = {name: n for name, n in record.fired_total.items() if name not in transactional}
    fired = [one for one in record.fired if one.campaign_id not in transactional]
    return replace(record, fired=fired, fired_total=totals)


def window_start_ms(per: str, now_ms: int, zone: ZoneInfo) -> int:
    """When the window began; a sliding one holds what is younger than its length.

    >>> window_start_ms("day", 1_769_443_022_000, ZoneInfo("UTC"))
    1769385600000
    """
    if per in CALENDAR:
        return _calendar_start_ms(per, now_ms // MINUTE_MS, zone)
    return now_ms - duration_ms(per) + 1


@lru_cache(maxsize=8_192)
def _calendar_start_ms(per: str, minute: int, zone: ZoneInfo) -> int:
    """When the calendar window began that a minute since the epoch lies in.

    A minute has one answer: since 1972 clocks run, and change, by whole minutes everywhere.
    """
    local = local_time(minute * MINUTE_MS, zone)
    if per == "hour":
        # Counted from the instant, not from the wall clock: an hour that comes twice in autumn is
        # two hours.
        return (minute - local.minute) * MINUTE_MS
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    if per == "week":
        midnight -= timedelta(days=local.weekday())
    return round(midnight.timestamp()) * SECOND_MS


def memory_ms(caps: Iterable[Cap], cooldowns_ms: Iterable[int]) -> int:
    """How long a fired trigger must be remembered for these caps and cool-downs."""
    sliding = [duration_ms(cap.per) for cap in caps if cap.per not in (*CALENDAR, "total")]
    return max([CALENDAR_MEMORY_MS, *sliding, *cooldowns_ms])


def remember(record: Record, fired: Fired, kept_ms: int) -> None:
    """Count a trigger, and forget those no cap asks for any more."""
    since_ms = fired.at_ms - kept_ms
    record.fired = [old for old in record.fired if old.at_ms >= since_ms]
    record.fired.append(fired)
    totals = record.fired_total
    totals[fired.campaign_id] = totals.get(fired.campaign_id, 0) + 1


def release(record: Record, trigger_id: str) -> bool:
    """Give back the place of a trigger that certainly reached nobody; whether it had one."""
    for fired in record.fired:
        if fired.trigger_id == trigger_id:
            record.fired.remove(fired)
            record.fired_total[fired.campaign_id] -= 1
            return True
    return False
