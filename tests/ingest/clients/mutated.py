"""Messages of clients, spoiled: bytes flip, vanish or repeat, and values become others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from geoengine.ingest.reports import Decoded

ODD_TEXTS = (
    "", "-1", "0", "0.0", "nan", "Infinity", "1e999", "9" * 400, "\x00", "é" * 200, "%ff%00",
    "\ud800", "2014-06-04 09:10", "4001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "\x1f7",
    "2024-02-30T25:61:61+99:99", "12.5,", ",", "$GPRMC,,,,,,,,,,", "?=&", "true",
)  # fmt: skip
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from([*ODD_TEXTS, 10**400, 1e308, -1e308, [], {}, [[]], [{}], [1], [None, None]]),
    st.recursive(
        st.integers(-1, 1),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=6,
    ),
)


def mutated(examples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Messages near to well-formed ones, and some that never were any."""
    return st.one_of(
        st.binary(max_size=200),
        st.builds(_spliced, st.sampled_from(examples), st.randoms(use_true_random=False)),
        st.builds(_revalued, st.sampled_from(examples), st.data(), st.integers(1, 4)),
        st.builds(lambda depth, end: b"[" * depth + end, st.integers(1, 5_000), st.binary()),
    )


def is_sound(decoded: Decoded) -> bool:
    """Whether what came of a message can be told on, and its times be written as dates."""
    json.loads(msgspec.json.encode(decoded.reports))  # finite numbers, texts that are texts
    return all(0 <= getattr(report, "fix_ms", 0) < 32_503_680_000_000 for report in decoded.reports)


def _spliced(message: bytes, random: Any) -> bytes:
    spoiled = bytearray(message)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(spoiled) + 1)
        end = min(len(spoiled), at + random.randint(0, 12))
        other = random.choice([b"", bytes([random.randrange(256)]), bytes(spoiled[at:end]) * 3])
        spoiled[at:end] = other
    return bytes(spoiled)


def _revalued(message: bytes, data: Any, count: int) -> bytes:
    """Some values replaced, of JSON or of a form."""
    try:
        value = json.loads(message)
    except ValueError:
        pairs = message.decode("utf-8", "replace").split("&")
        for _ in range(count):
            ix = data.draw(st.integers(0, len(pairs) - 1))
            pairs[ix] = pairs[ix].partition("=")[0] + "=" + data.draw(st.sampled_from(ODD_TEXTS))
        return "&".join(pairs).encode("utf-8", "surrogatepass")
    for _ in range(count):
        _replace_one(value, data)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _replace_one(value: Any, data: Any) -> None:
    """Walks to some place in a JSON value and puts something odd there."""
    while isinstance(value, dict | list) and value:
        keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(value[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
            value[key] = json.loads(json.dumps(data.draw(ODD_VALUES)))  # its own: it may be walked
            return
        value = value[key]
