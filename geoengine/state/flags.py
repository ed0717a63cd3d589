"""The three things about a record that every fix of its person's devices asks for."""

from __future__ import annotations

from geoengine.core.record import Record

IS_LOCATED = 1  # consent to being located is on record
IS_OBSERVED = 2  # a presence, a half-confirmed one, or a beacon heard lately
HAS_REFUSED = 4  # consent to being located is on record as withdrawn


def flags_of(record: Record) -> int:
    """These, added up."""
    consent = record.consents.get("location")
    located = 0 if consent is None else IS_LOCATED if consent.is_granted else HAS_REFUSED
    return located | IS_OBSERVED * bool(record.presences or record.heard)
