"""Consents that run out: how long each stands, and when it is time to ask anew.

A consent is no promise for life, and no law says how long it is one: the default of 25 months (760
days) is what the CNIL lets measurements of audiences be kept for. Too long, and people are written
to who forgot that they ever agreed; too short, and they are asked so often that they say no.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from geoengine.core.calendar import duration_ms
from geoengine.core.model import PURPOSES, ConsentSpec
from geoengine.core.record import Consent, Record


class Terms(Struct, frozen=True):
    """How long consents stand, by purpose, and how long before the end it is told."""

    life_ms: Mapping[str, int]  # a purpose that is not in it has no end
    notice_ms: int  # 0: it is not told before


def terms_of(spec: ConsentSpec) -> Terms:
    """What is configured, in milliseconds; a life of nothing is no end."""
    lives = {purpose: duration_ms(spec.expires) for purpose in PURPOSES}
    lives |= {purpose: duration_ms(text) for purpose, text in spec.expires_by_purpose.items()}
    kept = {purpose: life_ms for purpose, life_ms in lives.items() if life_ms > 0}
    return Terms(kept, duration_ms(spec.notice))


def end_ms(consent: Consent, purpose: str, terms: Terms) -> int | None:
    """When a consent runs out; None where it does not: withdrawn, without an end, or of a time that
    nobody knows.
    """
    life_ms = terms.life_ms.get(purpose)
    if life_ms is None or not consent.is_granted or consent.at_ms <= 0:
        return None
    return consent.at_ms + life_ms


def is_over(record: Record, purpose: str, terms: Terms, now_ms: int) -> bool:
    """Whether a consent on record has run out, noted or not."""
    consent = record.consents.get(purpose)
    over_ms = None if consent is None else end_ms(consent, purpose, terms)
    return over_ms is not None and over_ms <= now_ms


def next_lapse_ms(record: Record, terms: Terms) -> int | None:
    """When the next of a person's consents runs out, or is to be told of; None for none."""
    soonest: int | None = None
    for purpose, consent in record.consents.items():
        # As `end_ms`, in line: each record that a batch touches is asked.
        if consent.is_granted and consent.at_ms > 0 and (life_ms := terms.life_ms.get(purpose)):
            at_ms = consent.at_ms + life_ms
            if terms.notice_ms and not consent.is_noticed:
                at_ms = max(at_ms - terms.notice_ms, consent.at_ms)
            if soonest is None or at_ms < soonest:
                soonest = at_ms
    return soonest


def lapsed(record: Record, terms: Terms, now_ms: int) -> list[tuple[str, bool]]:
    """Purposes whose consent is due, and whether it has ended (or only is about to).

    Where the notice is longer than the life it is told at once, and the end comes at its time.
    """
    due: list[tuple[str, bool]] = []
    for purpose, consent in record.consents.items():
        over_ms = end_ms(consent, purpose, terms)
        if over_ms is None:
            continue
        if terms.notice_ms and not consent.is_noticed:
            if max(over_ms - terms.notice_ms, consent.at_ms) <= now_ms:
                due.append((purpose, False))
        elif over_ms <= now_ms:
            due.append((purpose, True))
    return sorted(due)
