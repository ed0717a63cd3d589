"""Times in every spelling; the road for columns agrees with the road for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.ingest.times import BAD_MS, MISSING_MS, time_ms, times_ms

PARIS = ZoneInfo("Europe/Paris")
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def exact_ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@given(st.lists(instants, min_size=1, max_size=40), offsets, st.sampled_from("T t&"))
def test_what_python_writes_as_iso_is_read_to_the_millisecond(
    ats: list[datetime], offset: timezone, mark: str
) -> None:
    if any(not 2 <= at.year <= 9998 for at in ats):
        return
    texts = [at.astimezone(offset).isoformat(mark) for at in ats] * 16
    assert times_ms(texts).tolist() == [exact_ms(at) for at in ats] * 16


SPELLINGS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none(),
    st.text(max_size=30),
    st.from_regex(
        r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][Tt &][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
        r"([.,][0-9]{1,13})?(Z|z|[+-][0-2][0-9](:?[0-9]{2})?)?\Z"
    ),
    st.from_regex(r"\A[+-]?[0-9]{1,14}(\.[0-9]{1,4})?\Z"),
)


@given(
    st.lists(SPELLINGS, min_size=1, max_size=5),
    st.sampled_from([None, UTC, PARIS]),
    st.sampled_from([None, 1_767_225_600_000]),
)
def test_a_column_is_read_as_its_times_are_one_by_one(
    values: list[int | float | str | None], zone: ZoneInfo | None, start_ms: int | None
) -> None:
    one_by_one = [time_ms(value, zone=zone, start_ms=start_ms) for value in values] * 16
    assert times_ms(values * 16, zone=zone, start_ms=start_ms).tolist() == one_by_one
    for value, ms in zip(values, one_by_one, strict=False):
        assert times_ms([value] * 16, zone=zone, start_ms=start_ms).tolist() == [ms] * 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-26 15:57:02", "2026-01-26T14:57:02Z"),  # winter
        ("2026-07-26 15:57:02.5", "2026-07-26T13:57:02.5Z"),  # summer
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # the doubled hour: the first of the two
        ("2026-07-26 15:57:02Z", "2026-07-26T15:57:02Z"),  # an offset that is said holds
    ],
)
def test_a_local_clock_is_put_into_its_zone(text: str, expected: str) -> None:
    assert time_ms(text, zone=PARIS) == time_ms(expected)


def test_nanoseconds_and_short_offsets_are_understood() -> None:
    assert time_ms("2019-01-25 20:00:16.178999901", zone=UTC) == time_ms("2019-01-25T20:00:16.178Z")
    assert time_ms("2014-09-10 06:54:07+0200") == time_ms("2014-09-10T04:54:07Z")
    assert time_ms("2014-09-10 06:54:07+02") == time_ms("2014-09-10T04:54:07Z")


def test_moko_gateways_join_the_date_and_the_time_with_an_ampersand() -> None:
    assert time_ms("2021-01-01&17:10:16+08") == time_ms("2021-01-01T09:10:16Z")


def test_numbers_are_seconds_after_the_start_where_there_is_one() -> None:
    start_ms = time_ms("2026-01-01T00:00:00Z")
    assert time_ms("1.004350185E-1", start_ms=start_ms) == start_ms + 100
    assert time_ms(12.5, start_ms=start_ms) == start_ms + 12_500


def test_a_leap_second_counts_as_the_second_after_it() -> None:
    assert time_ms("2016-12-31T23:59:60Z") == time_ms("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01",
        "20260101T000000Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "inf",
        "1_000",
    ],
)
def test_what_is_no_time_is_bad(text: str) -> None:
    assert time_ms(text) == BAD_MS
    assert times_ms([text] * 20).tolist() == [BAD_MS] * 20


def test_nothing_is_missing_rather_than_bad() -> None:
    assert times_ms([None, ""]).tolist() == [MISSING_MS, MISSING_MS]
