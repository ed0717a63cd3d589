"""Outlines as short text, and back: as the page's own script reads them, in Python."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from geoengine.catalog.preview.packing import DIGITS, RING_END, STEPS, digits, packed
from tests.catalog.preview.scenes import star

ALPHABET = DIGITS.tobytes().decode()


def unpacked(text: str) -> list[int]:
    numbers, value, shift = [], 0, 0
    for letter in text:
        digit = ALPHABET.index(letter)
        value += (digit & 31) << shift
        shift += 5
        if digit < 32:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return numbers


def rings(text: str, lon_deg: float, lat_deg: float) -> list[Polygon]:
    origin = np.round(np.array([lon_deg, lat_deg]) * STEPS)
    return [
        Polygon((np.cumsum(np.reshape(unpacked(ring), (-1, 2)), axis=0) + origin) / STEPS)
        for ring in text.split(RING_END)
    ]


@given(st.lists(st.integers(-36_000_000, 36_000_000), min_size=1, max_size=40))
def test_numbers_come_back(numbers: list[int]):
    text, ends = digits(np.array(numbers))
    assert unpacked(text) == numbers
    parts = [text[a:b] for a, b in zip([0, *ends.tolist()], ends.tolist(), strict=False)]
    assert [unpacked(part) for part in parts] == [[number] for number in numbers]


def test_an_outline_comes_back_to_within_a_step():
    shape = star(2.347, 48.8583, 330.0)
    (text,) = packed(np.array([shape], object), np.array([2.347]), np.array([48.8583]))
    (ring,) = rings(text, 2.347, 48.8583)
    assert shapely.hausdorff_distance(ring, shape) <= np.hypot(0.5, 0.5) / STEPS * 1.001


def test_holes_and_parts_are_told_as_rings():
    parts = MultiPolygon([star(2.34, 48.85, 300.0, hole=0.1), star(2.36, 48.85, 300.0)])
    alone = star(-61.0, -3.0, 5_000.0)
    shapes = np.array([parts, alone], object)
    text, other_text = packed(shapes, np.array([2.35, -61.0]), np.array([48.85, -3.0]))
    (outline, hole, other), (_alone,) = rings(text, 2.35, 48.85), rings(other_text, -61.0, -3.0)
    assert (
        outline.difference(hole).union(other).symmetric_difference(parts).area < 0.02 * parts.area
    )


def test_corners_nearer_than_a_step_are_told_once():
    close = Polygon([(0, 0), (1, 0), (1, 1e-7), (1, 1), (0, 1)])
    (text,) = packed(np.array([close], object), np.array([0.0]), np.array([0.0]))
    assert len(unpacked(text)) == 8


def test_a_corner_of_a_street_outline_takes_four_digits_or_five():
    shape = star(2.347, 48.8583, 330.0)
    (text,) = packed(np.array([shape], object), np.array([2.347]), np.array([48.8583]))
    assert len(text) / len(shape.exterior.coords) < 5


def test_nothing_is_packed_as_nothing():
    assert packed(np.empty(0, object), np.empty(0), np.empty(0)) == []
