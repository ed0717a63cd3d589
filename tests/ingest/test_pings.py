"""What a posted body becomes: fixes, and rejects that say why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.columns import Fixes
from geoengine.core.units import ACCURACY_MISSING_M, CLOCK_AHEAD_MS
from geoengine.ingest.pings import Malformed, Pings, columns_of, decode_pings, read_pings
from geoengine.ingest.wire import Reject

NOW_MS = 1_790_000_000_000
PING: dict[str, Any] = {"device_id": "a", "lat": 48.8583, "lon": 2.347, "fix_time": NOW_MS}
ODD_AND_GOOD: list[Any] = [
    PING,
    PING | {"accuracy_m": 9, "person_id": "claire", "mocked": True},
    PING | {"person_id": "", "mocked": False, "fix_time": "2026-09-01T10:00:00Z"},
    PING | {"lat": 91},
    PING | {"lat": "91"},
    PING | {"device_id": "a\nb"},
    PING | {"fix_time": NOW_MS + CLOCK_AHEAD_MS + 3},  # too far ahead for the first three posts
    PING | {"fix_time": 1e300},
    {},
    7,
]


def decode(body: bytes | object) -> Pings:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    pings = decode_pings(raw, recv_ms=NOW_MS, post_ix=7)
    assert isinstance(pings, Pings), pings
    return pings


def rejects(body: bytes | object) -> list[tuple[int, str]]:
    return [(reject.index, reject.reason) for reject in decode(body).rejects]


def reason(**changes: object) -> str:
    """Why one ping with these changes is rejected; the same alone and among many good ones."""
    changed = {key: value for key, value in (PING | changes).items() if value is not ...}
    [(index, why)] = rejects(changed)
    assert index == 0
    assert rejects([PING] * 20 + [changed] + [PING] * 20) == [(20, why)]
    return why


def test_a_ping_becomes_one_row_of_every_column() -> None:
    whole = PING | {
        "accuracy_m": 12.5,
        "speed_mps": 1.2,
        "heading_deg": 90,
        "altitude_m": 35,
        "mocked": True,
        "person_id": "claire",
        "battery": {"level": [1, 2]},
    }
    fixes = decode(whole).fixes
    assert (fixes.device_ids, fixes.person_ids) == (["a"], ["claire"])
    assert (fixes.lat_deg[0], fixes.lon_deg[0], fixes.accuracy_m[0]) == (48.8583, 2.347, 12.5)
    assert (fixes.fix_ms[0], fixes.recv_ms[0], fixes.post_ix[0]) == (NOW_MS, NOW_MS, 7)
    assert fixes.is_mocked.tolist() == [True]


@pytest.mark.parametrize(
    "form",
    [
        b"[%s,%s]",
        b"%s\n%s",
        b"%s\r\n\r\n%s\n",
        b"\xef\xbb\xbf[%s,\n%s]",
        b"  \n[ %s , %s ]\n",
    ],
)
def test_array_and_lines_are_told_apart_by_content(form: bytes) -> None:
    one, two = json.dumps(PING).encode(), json.dumps(PING | {"device_id": "b"}).encode()
    assert decode(form % (one, two)).fixes.device_ids == ["a", "b"]


def test_one_object_may_be_written_over_several_lines() -> None:
    assert decode(json.dumps(PING, indent=2).encode()).count == 1
    broken = json.dumps(PING | {"lat": "x"}, indent=2).encode()
    assert rejects(broken) == [(0, "wrong_type:lat")]


@pytest.mark.parametrize(
    ("written", "expected_ms"),
    [
        (NOW_MS, NOW_MS),
        (NOW_MS / 1000, NOW_MS),
        (1_789_999_999.25, NOW_MS - 750),
        (str(NOW_MS), NOW_MS),
        ("1789999999.25", NOW_MS - 750),
        ("2026-09-21T14:13:20Z", NOW_MS),
        ("2026-09-21T16:13:20.000+02:00", NOW_MS),
        ("2026-09-21 14:13:19.9999Z", NOW_MS - 1),
    ],
)
def test_times_may_be_seconds_milliseconds_or_rfc_3339(written: object, expected_ms: int) -> None:
    assert decode(PING | {"fix_time": written}).fixes.fix_ms.tolist() == [expected_ms]


def test_a_time_without_an_offset_is_refused_since_nobody_knows_its_place() -> None:
    assert reason(fix_time="2026-09-21T14:13:20") == "fix_time_bad"


@pytest.mark.parametrize("accuracy_m", [None, 0, -1, 0.0, ...])
def test_an_accuracy_that_is_not_known_counts_as_thirty_metres(accuracy_m: object) -> None:
    ping = {k: v for k, v in (PING | {"accuracy_m": accuracy_m}).items() if v is not ...}
    assert decode(ping).fixes.accuracy_m.tolist() == [ACCURACY_MISSING_M]


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("device_id_missing", {"device_id": ...}),
        ("device_id_missing", {"device_id": None}),
        ("device_id_bad", {"device_id": ""}),
        ("device_id_bad", {"device_id": "x" * 129}),
        ("device_id_bad", {"device_id": "a\x00b"}),
        ("device_id_bad", {"device_id": "a\nb"}),
        ("person_id_bad", {"person_id": "p\x7f"}),
        ("lat_missing", {"lat": ...}),
        ("lon_missing", {"lon": None}),
        ("lat_out_of_range", {"lat": 90.000001}),
        ("lat_out_of_range", {"lat": -91}),
        ("lon_out_of_range", {"lon": 180.5}),
        ("null_island", {"lat": 0, "lon": 0.0}),
        ("fix_time_missing", {"fix_time": ...}),
        ("fix_time_missing", {"fix_time": ""}),
        ("fix_time_bad", {"fix_time": "yesterday"}),
        ("fix_time_bad", {"fix_time": "2026-02-30T00:00:00Z"}),
        ("fix_time_bad", {"fix_time": "nan"}),
        ("fix_time_future", {"fix_time": NOW_MS + CLOCK_AHEAD_MS + 1}),
        ("fix_time_future", {"fix_time": 2_147_483_648}),
        ("fix_time_future", {"fix_time": 10**300}),
        ("fix_time_ancient", {"fix_time": 0}),
        ("fix_time_ancient", {"fix_time": "1970-01-01T00:00:00Z"}),
        ("fix_time_ancient", {"fix_time": -1e300}),
        ("accuracy_coarse", {"accuracy_m": 1000.5}),
        ("wrong_type:lat", {"lat": "48.8"}),
        ("wrong_type:lat", {"lat": True}),
        ("wrong_type:lon", {"lon": [2.3]}),
        ("wrong_type:fix_time", {"fix_time": False}),
        ("wrong_type:accuracy_m", {"accuracy_m": "10"}),
        ("wrong_type:device_id", {"device_id": 12}),
        ("wrong_type:mocked", {"mocked": 1}),
    ],
)
def test_a_bad_ping_is_rejected_alone_with_its_index_and_reason(
    why: str, changes: dict[str, object]
) -> None:
    assert reason(**changes) == why


@pytest.mark.parametrize("row", [b"1", b'"text"', b"null", b"[]", b"true"])
def test_a_row_that_is_no_object_is_rejected_alone(row: bytes) -> None:
    good = json.dumps(PING).encode()
    assert rejects(b"[%s,%s]" % (row, good)) == [(0, "not_an_object")]
    assert rejects(b"%s\n%s" % (good, row)) == [(1, "not_an_object")]


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (b'"lat":1e400', "lat_out_of_range"),
        (b'"accuracy_m":1e999', "accuracy_bad"),
        (b'"fix_time":' + b"9" * 5000, "fix_time_bad"),
        (b'"lon":' + b"9" * 5000, "lon_out_of_range"),
    ],
)
def test_numbers_larger_than_any_float_reject_their_ping(number: bytes, why: str) -> None:
    good = json.dumps(PING).encode()
    bad = good[:-1] + b"," + number + b"}"
    assert rejects(b"[%s,%s]" % (good, bad)) == [(1, why)]


def test_times_within_the_clock_tolerance_and_times_long_past_are_kept() -> None:
    ahead, past = NOW_MS + CLOCK_AHEAD_MS, NOW_MS - 10 * 86_400_000
    body = [PING | {"fix_time": ahead}, PING | {"fix_time": past}]
    assert decode(body).fixes.fix_ms.tolist() == [ahead, past]


def test_the_row_index_tells_which_ping_of_the_body_each_fix_was() -> None:
    body = [PING, PING | {"lat": 91}, {}, PING | {"lon": "x"}, PING | {"device_id": "z"}]
    pings = decode(body)
    assert pings.row_ix.tolist() == [0, 4]
    assert pings.fixes.device_ids == ["a", "z"]
    assert [reject.index for reject in pings.rejects] == [1, 2, 3]
    assert pings.count == 5


def test_the_last_of_duplicate_keys_wins() -> None:
    body = json.dumps(PING).encode()[:-1] + b',"lat":51.5}'
    assert decode(body).fixes.lat_deg.tolist() == [51.5]


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"01", b".5"])
def test_what_is_not_json_breaks_the_document_but_of_lines_only_its_own(word: bytes) -> None:
    good = json.dumps(PING).encode()
    bad = good.replace(b"48.8583", word)
    assert decode_pings(b"[%s,%s]" % (good, bad), recv_ms=NOW_MS) == Malformed("malformed_json")
    assert decode_pings(bad, recv_ms=NOW_MS) == Malformed("malformed_json")
    assert rejects(b"%s\n%s\n%s" % (good, bad, good)) == [(1, "malformed_json")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"hello", "malformed_json"),
        (b"lat=1&lon=2\nlat=3", "malformed_json"),
        (b"[1,2", "malformed_json"),
        (b'{"lat":', "malformed_json"),
        (b'[{"lat":1}] x', "malformed_json"),
        (b"\xff\xfe\x00", "malformed_json"),
        (b"3\n4", "not_an_object"),
        (b"[" * 200_000, "malformed_json"),
        (b"[" + b"[" * 200_000 + b"]" * 200_000 + b"]", "too_deep"),
        (b'{"x":' + b'{"x":' * 200_000 + b"1" + b"}" * 200_001, "too_deep"),
    ],
)
def test_a_body_that_is_no_pings_at_all_is_malformed(body: bytes, why: str) -> None:
    found = decode_pings(body, recv_ms=NOW_MS)
    assert isinstance(found, Malformed)
    # How far the decoder reads before it gives up on endless nesting is its own affair.
    assert found.reason == why or (len(body) > 100_000 and found.reason == "too_deep")


def test_text_that_is_not_unicode_rejects_its_ping_only() -> None:
    good = json.dumps(PING).encode()
    for bad in (good.replace(b'"a"', b'"\xff"'), good.replace(b'"a"', b'"\xed\xa0\x80"')):
        assert rejects(b"%s\n%s" % (good, bad)) == [(1, "malformed_json")]
        assert rejects(b"[%s,%s]" % (good, bad)) == [(1, "malformed_json")]


def test_a_lone_surrogate_is_no_name() -> None:
    good = json.dumps(PING).encode()
    bad = good.replace(b'"a"', b'"\\ud800"')
    assert rejects(b"%s\n%s" % (good, bad)) == [(1, "malformed_json")]


def test_no_row_gives_empty_columns_of_the_right_types() -> None:
    pings = decode([])
    assert (len(pings.fixes), pings.count, pings.rejects) == (0, 0, [])
    assert pings.fixes.fix_ms.dtype == np.int64
    assert pings.fixes.lon_deg.dtype == np.float64


@given(
    st.lists(
        st.lists(st.sampled_from(ODD_AND_GOOD), min_size=1, max_size=12), min_size=1, max_size=9
    )
)
def test_posts_laid_out_together_are_what_each_is_alone(posts: list[list[Any]]) -> None:
    bodies = [json.dumps(post).encode() for post in posts]
    alone = [decode_pings(body, recv_ms=NOW_MS + ix, post_ix=ix) for ix, body in enumerate(bodies)]
    read = [read_pings(body) for body in bodies]
    items = [item for rows in read for item in rows.items]
    counts = [len(rows.items) for rows in read]
    post_ix = np.repeat(np.arange(len(posts)), counts)
    found = columns_of(items, recv_ms=NOW_MS + post_ix, post_ix=post_ix)
    assert repr(found.fixes) == repr(Fixes.concat([pings.fixes for pings in alone]))
    starts = np.cumsum([0, *counts])
    for ix, rows in enumerate(read):
        late = [
            Reject(reject.index - int(starts[ix]), reject.reason)
            for reject in found.rejects
            if starts[ix] <= reject.index < starts[ix + 1]
        ]
        assert rows.rejects_with(late) == alone[ix].rejects
