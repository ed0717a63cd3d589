"""Time as people keep it: midnights, holidays, and the two nights a year that are odd."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.calendar import FOREVER_MS, hours, sound_zone
from geoengine.core.judging import caps
from geoengine.core.model import Cap
from geoengine.core.record import Fired, Record

PARIS = ZoneInfo("Europe/Paris")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def is_open(expression: str, at: str, zone: str = "Europe/Paris", country: str = "FR") -> bool:
    return hours(expression, zone, country).is_open(ms(at))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-04-17T21:59:59+02:00", False),  # a Friday
        ("2026-04-17T22:00:00+02:00", True),
        ("2026-04-18T01:59:59+02:00", True),  # its tail
        ("2026-04-18T02:00:00+02:00", False),
        ("2026-04-18T23:00:00+02:00", False),  # Saturday night is not Friday's
    ],
)
def test_a_span_over_midnight_belongs_to_the_day_it_began(at: str, expected: bool):
    assert is_open("Fr 22:00-02:00", at) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-29T01:30:00+01:00", True),
        ("2026-03-29T03:15:00+02:00", True),  # a quarter of an hour later: two o'clock is skipped
        ("2026-03-29T04:00:00+02:00", False),
        ("2026-10-25T02:30:00+02:00", True),  # the first half past two
        ("2026-10-25T02:30:00+01:00", True),  # and the second
        ("2026-10-25T04:00:00+01:00", False),
    ],
)
def test_spans_hold_through_both_nights_when_the_clock_changes(at: str, expected: bool):
    assert is_open("22:00-04:00", at) is expected


@pytest.mark.parametrize("season", ["2026-01-14T18:00:00+01:00", "2026-07-15T18:00:00+02:00"])
def test_six_in_the_evening_is_six_in_winter_and_in_summer(season: str):
    assert is_open("17:30-18:30", season)
    assert not is_open("17:30-18:30", season.replace("T18", "T17"))


@pytest.mark.parametrize(
    ("at", "country", "expected"),
    [
        ("2026-05-01T12:00:00+02:00", "FR", False),
        ("2026-05-14T12:00:00+02:00", "FR", False),  # Ascension, counted from Easter
        ("2026-07-14T12:00:00+02:00", "FR", False),
        ("2026-07-14T12:00:00+02:00", "DE", True),
        ("2026-12-25T12:00:00+01:00", "FR", False),
        ("2026-12-28T12:00:00+01:00", "FR", True),
    ],
)
def test_public_holidays_are_the_countrys(at: str, country: str, expected: bool):
    assert is_open("Mo-Su 10:00-20:00; PH off", at, country=country) is expected


def test_a_date_may_be_left_out():
    assert not is_open("Mo-Su 10:00-20:00; 2026 Dec 24 off", "2026-12-24T12:00:00+01:00")
    assert is_open("Mo-Su 10:00-20:00; 2026 Dec 24 off", "2027-12-24T12:00:00+01:00")


def test_time_runs_in_the_place_and_not_where_the_server_is():
    noon_in_utc = "2026-04-14T12:00:00+00:00"
    assert is_open("Mo-Fr 14:00-15:00", noon_in_utc, "Europe/Paris")
    assert is_open("Mo-Fr 21:00-22:00", noon_in_utc, "Asia/Tokyo", "JP")
    assert is_open("Mo-Fr 16:00-17:00", noon_in_utc, "Indian/Reunion", "FR")


def test_the_remembered_answer_changes_when_the_answer_does():
    shop = hours("Mo-Su 08:00-20:00", "Europe/Paris", "FR")
    morning = ms("2026-04-14T09:00:00+02:00")
    assert shop.is_open(morning)
    assert shop.until_ms(morning) == ms("2026-04-14T20:00:00+02:00")
    assert not shop.is_open(ms("2026-04-14T20:00:00+02:00"))
    assert shop.is_open(ms("2026-04-13T19:59:59+02:00"))
    assert hours("24/7", "Europe/Paris", "FR").until_ms(morning) == FOREVER_MS


def test_every_minute_of_the_odd_nights_is_answered_as_if_asked_alone():
    for night in ("2026-03-28T20:00:00+00:00", "2026-10-24T20:00:00+00:00"):
        walked = hours("Sa 22:00-03:30; Su 05:00-06:00", "Europe/Paris", "FR")
        for minute in range(12 * 60):
            at = datetime.fromtimestamp(ms(night) / 1000 + 60 * minute, UTC).isoformat()
            hours.cache_clear()
            assert walked.is_open(ms(at)) == is_open("Sa 22:00-03:30; Su 05:00-06:00", at)


@pytest.mark.parametrize(
    ("per", "at", "start"),
    [
        ("day", "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00"),  # 23 hours long
        ("day", "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00"),  # 25 hours long
        ("week", "2026-04-01T12:00:00+02:00", "2026-03-30T00:00:00+02:00"),
        ("week", "2026-03-29T12:00:00+02:00", "2026-03-23T00:00:00+01:00"),
        ("hour", "2026-10-25T02:30:00+01:00", "2026-10-25T02:00:00+01:00"),  # the second of two
    ],
)
def test_calendar_windows_begin_at_local_midnight_also_when_the_clock_changes(
    per: str, at: str, start: str
):
    assert caps.window_start_ms(per, ms(at), PARIS) == ms(start)


def test_a_released_place_under_a_cap_is_free_again():
    record, limit = Record("ann"), [Cap(max=1, per="total")]
    caps.remember(record, Fired("t1", "hello", 1_000), 10_000)
    assert caps.reached(record, limit, 2_000, PARIS, campaign_id="hello") == "cap:total 1/1"
    assert caps.release(record, "t1")
    assert not caps.release(record, "t1")
    assert caps.reached(record, limit, 2_000, PARIS, campaign_id="hello") == ""


def test_what_no_cap_looks_back_to_is_forgotten_and_totals_are_not():
    record = Record("ann")
    for at_ms in (0, 5_000, 20_000):
        caps.remember(record, Fired(f"t{at_ms}", "hello", at_ms), 10_000)
    assert [fired.at_ms for fired in record.fired] == [20_000]
    assert record.fired_total == {"hello": 3}


def window_start_worked_out(per: str, now_ms: int, zone: ZoneInfo) -> int:
    """The specification, asked anew for each instant."""
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    if per == "hour":
        return now_ms - (local.minute * 60 + local.second) * 1000 - now_ms % 1000
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    midnight -= timedelta(days=local.weekday() if per == "week" else 0)
    return round(midnight.timestamp()) * 1000


ODD_ZONES = (
    "UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
    "America/Sao_Paulo", "America/Havana", "Pacific/Apia", "Asia/Gaza", "Africa/Casablanca",
)  # fmt: skip


@given(
    per=st.sampled_from(caps.CALENDAR),
    now_ms=st.integers(ms("1972-06-01T00:00:00+00:00"), ms("2037-12-31T00:00:00+00:00")),
    zone=st.sampled_from(ODD_ZONES).map(ZoneInfo),
)
def test_a_remembered_window_begins_where_the_calendar_says(per: str, now_ms: int, zone: ZoneInfo):
    assert caps.window_start_ms(per, now_ms, zone) == window_start_worked_out(per, now_ms, zone)


def test_windows_begin_right_in_a_night_whose_clock_goes_back_over_midnight():
    st_johns = ZoneInfo("America/St_Johns")  # until 2011 one minute past midnight, back to 23:01
    before_ms = ms("2006-10-29T00:00:00-02:30") - 2 * 3_600_000
    for second in range(0, 4 * 3_600, 7):
        at_ms = before_ms + second * 1000 + 123
        for per in caps.CALENDAR:
            start_ms = caps.window_start_ms(per, at_ms, st_johns)
            assert start_ms == window_start_worked_out(per, at_ms, st_johns)


def test_a_strange_time_zone_is_none():
    assert [sound_zone(name) for name in ("Europe/Paris", "", "Mars/Olympus", "../etc")] == [
        "Europe/Paris", "", "", "",
    ]  # fmt: skip
