"""Laws of the decoders: they never raise, and every road to a row gives the same row."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geoengine.ingest.names import are_names, is_name
from geoengine.ingest.pings import Malformed, Pings, decode_pings
from geoengine.ingest.sightings import Heard, decode_sightings

NOW_MS = 1_790_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
near = st.floats(-200, 200, allow_nan=False) | st.integers(-200, 200) | st.just(0)
fields = {
    "device_id": st.sampled_from(["a", "b", "", "\x00", "é" * 130]),
    "lat": near,
    "lon": near,
    "fix_time": st.sampled_from([NOW_MS, NOW_MS / 1000, "2026-09-21T14:13:20Z", "soon", 0, 1e18]),
    "accuracy_m": st.floats(-2, 2000),
    "person_id": st.sampled_from(["p", "", "\n"]),
    "mocked": st.booleans(),
}
pings = st.fixed_dictionaries(
    {}, optional={key: st.one_of(value, value, value, json_values) for key, value in fields.items()}
)
rows = st.lists(st.one_of(pings, pings, json_values), max_size=12)


def is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@given(st.binary(max_size=200) | rows.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_a_decoder_raise(body: bytes) -> None:
    assert isinstance(decode_pings(body, recv_ms=NOW_MS), Pings | Malformed)
    assert isinstance(decode_sightings(body, recv_ms=NOW_MS), Heard | Malformed)


@given(rows.filter(is_json))
def test_rows_read_the_same_one_by_one_all_together_and_as_lines(values: list[Any]) -> None:
    alone = [decode_pings(b"[%s]" % json.dumps(value).encode(), recv_ms=NOW_MS) for value in values]
    reasons = [
        (index, found.rejects[0].reason)
        for index, found in enumerate(alone)
        if isinstance(found, Pings) and found.rejects
    ]
    together = decode_pings(json.dumps(values).encode(), recv_ms=NOW_MS)
    assert isinstance(together, Pings)
    assert [(reject.index, reject.reason) for reject in together.rejects] == reasons
    assert len(together.fixes) + len(reasons) == together.count == len(values)

    lines = decode_pings("\n".join(map(json.dumps, values)).encode(), recv_ms=NOW_MS)
    if isinstance(lines, Pings) and not (values and isinstance(values[0], list)):
        assert repr(lines) == repr(together)


@given(st.lists(pings, min_size=1, max_size=6).filter(is_json))
def test_few_and_many_rows_are_judged_alike(values: list[Any]) -> None:
    few = decode_pings(json.dumps(values).encode(), recv_ms=NOW_MS)
    many = decode_pings(json.dumps(values * 16).encode(), recv_ms=NOW_MS)
    assert isinstance(few, Pings)
    assert isinstance(many, Pings)
    assert [reject.reason for reject in many.rejects] == [r.reason for r in few.rejects] * 16
    assert many.fixes.lat_deg.tolist() == few.fixes.lat_deg.tolist() * 16
    assert many.fixes.fix_ms.tolist() == few.fixes.fix_ms.tolist() * 16


@given(st.lists(st.text(max_size=4) | st.sampled_from(["a", "b" * 128, "c" * 129]), max_size=5))
def test_names_are_judged_together_as_each_alone(texts: list[str]) -> None:
    assert are_names(texts * 60) == are_names(texts) == all(map(is_name, texts))
