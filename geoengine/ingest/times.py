"""Times as people and phones write them, made into milliseconds since the epoch.

Numbers count seconds or milliseconds; texts are RFC 3339. A whole column is read at once where all
texts have one shape, which they have when one program wrote them; the rest go one by one. Both
roads do the same whole-number arithmetic, so they agree to the millisecond (a law in the tests).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Longs
from geoengine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.ingest.numbers import packed

TimeLike = int | float | str | None

# What stands in a column of times where there is none. Both lie far before any real time.
MISSING_MS: Final = -(1 << 62)
BAD_MS: Final = MISSING_MS - 1

# 1e11 seconds is the year 5138 and 1e11 milliseconds is March 1973: nothing real is ambiguous.
_MS_FROM: Final = 1e11
_FAR_MS: Final = 1 << 50  # the year 37648: further away than any check lets through
_FEW: Final = 16  # below so many, setting up arrays costs more than going one by one
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_QUARTER_MS: Final = 15 * MINUTE_MS  # time zones change their offset on a quarter of an hour

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt &](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?"
    r" ?(Z|z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)


def times_ms(
    values: Sequence[TimeLike], *, zone: tzinfo | None = None, start_ms: int | None = None
) -> Longs:
    """Milliseconds since the epoch of a column of times.

    Parameters
    ----------
    values : sequence of int, float, str or None, length P
        Seconds or milliseconds since the epoch (told apart by size), or RFC 3339 texts, or numbers
        as text.
    zone : time zone, optional
        What texts without an offset are taken to be in; without it they are bad.
    start_ms : int, optional
        Numbers are seconds since this instant instead of since the epoch.

    Returns
    -------
    int64, shape (P,)
        `MISSING_MS` where there is none, `BAD_MS` where it cannot be read.
    """
    if len(values) < _FEW:
        return _one_by_one_ms(values, zone, start_ms)
    if isinstance(values[0], str) and set(map(type, values)) == {str}:
        return _texts_ms(values, zone, start_ms)  # type: ignore[arg-type]
    try:
        return _numbers_ms(packed(values), start_ms)  # type: ignore[arg-type]
    except (struct.error, OverflowError):  # not all are numbers, or one is beyond every float
        return _one_by_one_ms(values, zone, start_ms)


def time_ms(value: TimeLike, *, zone: tzinfo | None = None, start_ms: int | None = None) -> int:
    """One time; as `times_ms`.

    >>> time_ms("2026-01-26T15:57:02+01:00")
    1769439422000
    >>> time_ms(1769439422.5)
    1769439422500
    """
    ms, is_naive = _scalar_ms(value, start_ms)
    if not is_naive or zone is UTC:
        return ms  # an array of one costs more than all of the rest
    return int(_placed(np.array([ms]), np.array([True]), zone)[0])


def _one_by_one_ms(values: Sequence[TimeLike], zone: tzinfo | None, start_ms: int | None) -> Longs:
    return _placed(*_scalars_ms(values, start_ms), zone)


def _scalar_ms(value: TimeLike, start_ms: int | None) -> tuple[int, bool]:
    """Milliseconds, and whether they are of a local clock whose zone is not said."""
    if value is None or value == "":
        return MISSING_MS, False
    if isinstance(value, str):
        text = value.strip()
        found = _INSTANT.fullmatch(text)
        if found is not None:
            return _instant_ms(found)
        if _NUMBER.fullmatch(text) is None:
            return BAD_MS, False
        value = float(text)
    return _number_ms(value, start_ms), False


def _number_ms(number: int | float, start_ms: int | None) -> int:
    """One number; the slow twin of `_numbers_ms`."""
    if abs(number) > _FAR_MS:
        return _FAR_MS if number > 0 else -_FAR_MS
    if start_ms is not None:
        return round(start_ms + float(number) * SECOND_MS)  # in doubles, as its twin
    return round(number * SECOND_MS if abs(number) < _MS_FROM else number)


def _numbers_ms(numbers: NDArray[np.float64], start_ms: int | None) -> Longs:
    """Doubles hold milliseconds since the epoch exactly until the year 287396."""
    if start_ms is None and numbers.min() >= _MS_FROM and numbers.max() <= _FAR_MS:
        return np.rint(numbers).astype(np.int64)  # all are milliseconds, as nearly always
    near = np.clip(numbers, -_FAR_MS, _FAR_MS)
    if start_ms is not None:
        ms = start_ms + near * SECOND_MS
    else:
        ms = np.where(np.abs(near) < _MS_FROM, near * SECOND_MS, near)
    far = np.where(numbers > 0, _FAR_MS, -_FAR_MS)
    return np.where(np.abs(numbers) > _FAR_MS, far, np.rint(ms).astype(np.int64))


def _instant_ms(found: re.Match[str]) -> tuple[int, bool]:
    year, month, day, hour, minute, second = (int(text) for text in found.groups()[:6])
    fraction, offset = found[7] or "", found[8]
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return BAD_MS, False
    # A leap second, :60, counts as the second after it: POSIX time has no other place for it.
    if hour > 23 or minute > 59 or second > 60:
        return BAD_MS, False
    ms = days * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS
    ms += int((fraction + "000")[:3])
    if offset is None:
        return ms, True
    shift_ms = _offset_ms(offset)
    return (BAD_MS if shift_ms is None else ms - shift_ms), False


def _offset_ms(text: str) -> int | None:
    if text in "Zz":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        return None
    shift_ms = hours * HOUR_MS + minutes * MINUTE_MS
    return -shift_ms if text[0] == "-" else shift_ms


def _placed(ms: Longs, is_naive: Bools, zone: tzinfo | None) -> Longs:
    """Local clocks put into their zone; without a zone they are bad."""
    is_naive &= ms > MISSING_MS
    if not is_naive.any():
        return ms
    if zone is None:
        return np.where(is_naive, BAD_MS, ms)
    if zone is UTC:
        return ms
    ms[is_naive] -= _shifts_ms(ms[is_naive], zone)
    return ms


def _shifts_ms(local_ms: Longs, zone: tzinfo) -> Longs:
    """How far the zone's clock is ahead of UTC, asked once for each quarter of an hour."""
    quarters, which = np.unique(local_ms // _QUARTER_MS, return_inverse=True)
    shifts = np.empty(len(quarters), np.int64)
    for ix, quarter in enumerate(quarters.tolist()):
        local = datetime(1970, 1, 1) + timedelta(milliseconds=quarter * _QUARTER_MS)
        offset = local.replace(tzinfo=zone).utcoffset() or timedelta()
        shifts[ix] = offset // timedelta(milliseconds=1)
    return shifts[which]


# The fixed shape of RFC 3339: where the digits and what stands between them.
_DIGITS: Final = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18])
_MARKS: Final = np.array([4, 7, 10, 13, 16])
_MARK_BYTES: Final = np.frombuffer(b"--T::", np.uint8)
_SHORTEST: Final = 19  # 2026-01-26T15:57:02


def _texts_ms(texts: Sequence[str], zone: tzinfo | None, start_ms: int | None) -> Longs:
    """Texts of one length are laid out as a table of bytes and read by column."""
    widths = np.fromiter(map(len, texts), np.int64, len(texts))
    ms, is_naive = np.empty(len(texts), np.int64), np.zeros(len(texts), bool)
    for width in np.unique(widths).tolist():
        row_ix = np.flatnonzero(widths == width)
        group = texts if len(row_ix) == len(texts) else [texts[ix] for ix in row_ix.tolist()]
        ms[row_ix], is_naive[row_ix] = _table_ms(group, width) or _scalars_ms(group, start_ms)
    return _placed(ms, is_naive, zone)


def _scalars_ms(values: Sequence[TimeLike], start_ms: int | None) -> tuple[Longs, Bools]:
    read = [_scalar_ms(value, start_ms) for value in values]
    return np.array([ms for ms, _ in read], np.int64), np.array([naive for _, naive in read], bool)


def _table_ms(texts: Sequence[str], width: int) -> tuple[Longs, Bools] | None:
    """Times of texts of one length; None unless all are RFC 3339 of one shape."""
    joined = "".join(texts)
    if width < _SHORTEST or not joined.isascii():
        return None
    table = np.frombuffer(joined.encode("ascii"), np.uint8).reshape(-1, width)
    marks = table[:, _MARKS].copy()
    # A blank, a small t or Moko's & may stand for the T.
    marks[:, 2] = np.where(np.isin(marks[:, 2], (0x20, 0x26, 0x74)), 0x54, marks[:, 2])
    digits = table[:, _DIGITS] - np.uint8(0x30)
    tail = _tail_ms(table[:, _SHORTEST:])
    if tail is None or not (marks == _MARK_BYTES).all() or (digits > 9).any():
        return None
    return _civil_ms(digits.astype(np.int64), *tail)


def _tail_ms(tail: NDArray[np.uint8]) -> tuple[Longs, Longs, Bools] | None:
    """Of what follows the seconds: the milliseconds, the offset, and whether there is none."""
    count, width = tail.shape
    zeros = np.zeros(count, np.int64)
    fraction_ms = zeros
    if width and (tail[:, 0] == 0x2E).all():
        numbers = tail[:, 1:] - np.uint8(0x30)
        length = int(np.argmax((numbers > 9).any(axis=0))) if (numbers > 9).any() else width - 1
        if not 1 <= length <= 12:
            return None
        weights = (100, 10, 1)[:length]
        fraction_ms = sum(
            (numbers[:, ix].astype(np.int64) * weight for ix, weight in enumerate(weights)), zeros
        )
        tail = tail[:, 1 + length :]
    if tail.shape[1] == 0:
        return fraction_ms, zeros, np.ones(count, bool)
    if tail.shape[1] == 1 and (tail == 0x5A).all():
        return fraction_ms, zeros, np.zeros(count, bool)
    if tail.shape[1] != 6 or not (tail[:, 3] == 0x3A).all():
        return None
    return _with_offset(fraction_ms, tail)


def _with_offset(fraction_ms: Longs, tail: NDArray[np.uint8]) -> tuple[Longs, Longs, Bools] | None:
    sign = np.where(tail[:, 0] == 0x2B, 1, np.where(tail[:, 0] == 0x2D, -1, 0))
    digits = tail[:, [1, 2, 4, 5]] - np.uint8(0x30)
    hours = digits[:, 0].astype(np.int64) * 10 + digits[:, 1]
    minutes = digits[:, 2].astype(np.int64) * 10 + digits[:, 3]
    if not sign.all() or (digits > 9).any() or (hours > 23).any() or (minutes > 59).any():
        return None
    offset_ms: Longs = sign * (hours * HOUR_MS + minutes * MINUTE_MS)
    return fraction_ms, offset_ms, np.zeros(len(sign), bool)


def _civil_ms(
    digits: NDArray[np.int64], fraction_ms: Longs, offset_ms: Longs, is_naive: Bools
) -> tuple[Longs, Bools] | None:
    year = digits[:, 0] * 1000 + digits[:, 1] * 100 + digits[:, 2] * 10 + digits[:, 3]
    month, day, hour, minute, second = (digits[:, 4::2] * 10 + digits[:, 5::2]).T
    months = (year - 1970) * 12 + month - 1
    first_day = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after_day = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    is_sound = (
        (year >= 1)
        & (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (day <= after_day - first_day)
        & (hour <= 23)
        & (minute <= 59)
        & (second <= 60)
    )
    clock_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction_ms
    ms = (first_day + day - 1) * DAY_MS + clock_ms - offset_ms
    return np.where(is_sound, ms, BAD_MS), is_naive & is_sound
