"""How long what is remembered of people is kept, and whom nothing was heard of for too long.

The defaults follow the CNIL's reference for prospects (three years from the last contact) and the
five years in which somebody may sue (French civil code, article 2224); decisions and facts are kept
as long as a season's results are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from geoengine.core.calendar import duration_ms
from geoengine.core.model import EngineSpec
from geoengine.core.record import Record
from geoengine.core.units import DAY_MS


class Ages(Struct, frozen=True):
    """How old each kind gets, in milliseconds; 0 for no end."""

    decisions_ms: int
    facts_ms: int
    messages_ms: int
    links_ms: int
    codes_ms: int
    people_ms: int
    proofs_ms: int
    suppressions_ms: int


_KEYS = Ages.__struct_fields__[1:]
# What must be remembered for so long: the longest retry schedule of a webhook takes 76 hours, and a
# message forgotten before would be sent twice; a till that was offline for a week tells only then
# what it redeemed; a card without any time would stay for ever.
SHORTEST: Final = {"messages": "4d", "links": "1m", "codes": "7d"}


def too_short(spec: EngineSpec) -> Iterator[tuple[str, str]]:
    """The keys of `engine.retention` that would forget too early, and what was expected."""
    for key, least in SHORTEST.items():
        told = getattr(spec.retention, key)
        if duration_ms(told) < duration_ms(least):
            yield key, f"{key} {told} forgets too early: expected at least {least}"


def ages_of(spec: EngineSpec) -> Ages:
    """What is configured."""
    kept = spec.retention
    return Ages(
        duration_ms(spec.decisions_kept),
        *(duration_ms(getattr(kept, name.removesuffix("_ms"))) for name in _KEYS),
    )


def told_ages(ages: Ages) -> dict[str, str]:
    """The ages to read, in days.

    >>> told_ages(ages_of(EngineSpec()))["suppressions"]
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
