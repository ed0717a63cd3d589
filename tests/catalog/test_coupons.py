"""Coupons and reminders that cannot be meant so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.writing import STORES, faults, reading

HEAD = STORES + "campaigns:\n"


def campaign(name: str, *lines: str, says: str = "Use {code}", on: str = "enter") -> str:
    """A campaign with these lines."""
    head = f'  - id: {name}\n    on: {on}\n    levers: [log]\n    message: {{fr: "{says}"}}\n'
    return head + "".join(f"    {line}\n" for line in lines)


GIVES = campaign("gives", "coupon: {kind: unique, valid: 2d}")
REMINDS = {"says": "{code} ends", "on": "coupon_expiring"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (campaign("a", "coupon: {kind: pool}"), "lacks `pool`"),
        (campaign("a", "coupon: {kind: shared}"), "lacks `code`"),
        (campaign("a", "coupon: {kind: pool, pool: p, code: X}"), "its codes are uploaded"),
        (campaign("a", "coupon: {kind: unique, code: X}"), "made for them"),
        (campaign("a", "coupon: {kind: unique, pool: p}"), "`pool` is not for a unique coupon"),
        (campaign("a", "coupon: {kind: pool, pool: p, limit: 5}"), "has `limit`"),
        (campaign("a", "reminder: {before: 1h}", says="x"), "`reminder` is for campaigns with"),
        (GIVES + campaign("b", "coupon: {kind: unique}", **REMINDS), "gives no coupon of its own"),
        (
            GIVES + campaign("b", "reminder: {campaigns: [give]}", **REMINDS),
            "campaign `give` gives no coupon",
        ),
    ],
)
def test_a_coupon_that_cannot_be_meant_so_is_told(tmp_path: Path, text: str, what: str):
    found = faults(tmp_path, HEAD + text)
    assert any(what in fault for fault in found), found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (campaign("b", **REMINDS), "no campaign gives a coupon"),
        (GIVES + campaign("b", "reminder: {before: 2d}", **REMINDS), "no longer than its notice"),
        (campaign("a", "coupon: {kind: unique}", says="x"), "in no message"),
    ],
)
def test_a_coupon_that_is_hardly_meant_so_is_doubted(tmp_path: Path, text: str, what: str):
    found = [str(one) for one in reading(tmp_path, HEAD + text).warnings]
    assert any(what in fault for fault in found), found


def test_what_is_meant_so_is_not(tmp_path: Path):
    reminder = campaign("b", "reminder: {before: 1d, campaigns: [gives]}", **REMINDS)
    pool = campaign("c", "coupon: {kind: pool, pool: summer, redeem_at: campaign}")
    shared = campaign("d", "coupon: {kind: shared, code: TEA10, limit: 500}")
    assert faults(tmp_path, HEAD + GIVES + reminder + pool + shared) == []
