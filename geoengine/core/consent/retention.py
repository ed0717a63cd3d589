"""How long what is remembered of people is kept, and whom nothing was heard of for too long.

The defaults follow the CNIL's reference for prospects (three years from the last contact) and the
five years in which somebody may sue (French civil code, article 2224); decisions and facts are kept
as long as a season's results are looked at.
"""

from __future__ import annotations

from msgspec import Struct

from geoengine.core.calendar import duration_ms
from geoengine.core.model import EngineSpec
from geoengine.core.record import Record
from geoengine.core.units import DAY_MS


class Ages(Struct, frozen=True):
    """How old each kind gets, in milliseconds; 0 for no end."""

    decisions_ms: int
    facts_ms: int
    people_ms: int
    proofs_ms: int
    suppressions_ms: int


def ages_of(spec: EngineSpec) -> Ages:
    """What is configured."""
    kept = spec.retention
    texts = (spec.decisions_kept, kept.facts, kept.people, kept.proofs, kept.suppressions)
    return Ages(*map(duration_ms, texts))


def told_ages(ages: Ages) -> dict[str, str]:
    """The ages to read, in days.

    >>> told_ages(Ages(90 * DAY_MS, 90 * DAY_MS, 0, 1_827 * DAY_MS, 0))["people"]
    'for ever'
    """
    return {
        name.removesuffix("_ms"): f"{age_ms / DAY_MS:g} days" if age_ms else "for ever"
        for name in ages.__struct_fields__
        for age_ms in [getattr(ages, name)]
    }


def last_sign_ms(record: Record) -> int:
    """When somebody was last heard of, by whatever; 0 where nobody knows."""
    signs_ms = [
        *record.devices.values(),
        *(consent.at_ms for consent in record.consents.values()),
        *(presence.seen_ms for presence in record.presences.values()),
        *(fired.at_ms for fired in record.fired),
        *(visited.last_ms for visited in record.visited.values()),
    ]
    return max([0, *signs_ms])


def is_stale(record: Record, ages: Ages, now_ms: int) -> bool:
    """Whether somebody is to be forgotten: nothing was heard for so long, and no consent stands.

    While one stands they may be heard of without the record being written: a phone that is far from
    every store says so to the table of last fixes only. Of somebody without any time nobody knows.
    """
    if not ages.people_ms or any(consent.is_granted for consent in record.consents.values()):
        return False
    sign_ms = last_sign_ms(record)
    return 0 < sign_ms < now_ms - ages.people_ms
