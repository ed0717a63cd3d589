"""Segments of SMS, counted as networks count them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.saying.segments import BASIC, EXTENSION, segments

GSM = sorted(BASIC | EXTENSION)


@pytest.mark.parametrize(
    ("text", "count", "places"),
    [
        ("", 1, 0),
        ("a" * 160, 1, 160),
        ("a" * 161, 2, 161),
        ("a" * 306, 2, 306),
        ("a" * 307, 3, 307),
        ("€" * 80, 1, 160),
        ("€" * 81, 2, 162),
        ("a" + "€" * 80, 2, 161),
        ("ê" * 70, 1, 70),
        ("ê" * 71, 2, 71),
        ("ê" * 134, 2, 134),
        ("ê" * 135, 3, 135),
        ("🎁" * 35, 1, 70),
        ("🎁" * 36, 2, 72),
    ],
)
def test_a_text_takes_as_many_segments_as_the_networks_count(text, count, places):
    assert segments(text)[:2] == (count, places)


def test_a_sign_of_two_places_is_not_cut_in_two():
    # 153 places hold 76 of them and one place stays empty, in each of two segments.
    assert segments("€" * 152).segment_count == 2
    assert segments("€" * 153).segment_count == 3
    assert segments("ê" + "🎁" * 66).segment_count == 2  # 1 + 33 pairs fill 67, the others 66 of 67
    assert segments("🎁" * 66).segment_count == 2
    assert segments("🎁" * 67).segment_count == 3


def test_the_default_alphabet_has_128_codes_less_the_one_that_escapes():
    assert len(BASIC) == 127
    assert not BASIC & EXTENSION


@pytest.mark.parametrize("sign", "çêâîôûœ’…«–")
def test_french_typography_that_costs_the_default_alphabet_is_named(sign):
    assert segments(f"Chez {sign} nous").foreign == sign
    assert segments(f"Chez {sign} nous").one_holds == 70


@given(st.text(GSM, max_size=700))
def test_what_the_default_alphabet_holds_wastes_at_most_a_place_a_segment(text):
    told = segments(text)
    assert told.is_gsm
    assert told.place_count == len(text) + sum(sign in EXTENSION for sign in text)
    assert told.segment_count >= -(-told.place_count // 160)
    assert (told.segment_count - 1) * 152 < max(told.place_count, 1)


@given(st.text(max_size=400), st.text(max_size=400))
def test_a_longer_text_never_takes_fewer_segments(text, more):
    assert segments(text + more).segment_count >= segments(text).segment_count
