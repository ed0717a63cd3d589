"""What a message that is not fresh off the air is still good for.

The broker may have kept it: as the last of its topic, or because nobody had acknowledged it. Only
its own time tells how old it is.
"""

from __future__ import annotations

from geoengine.ingest.reports import Decoded, Report
from geoengine.service.brokers.line import Letter


def judged(decoded: Decoded, letter: Letter, recv_ms: int, silence_ms: int) -> Decoded:
    """The reports that count, and a reason more for each that does not.

    After ``silence_ms`` nobody is taken to be where he was. A message that was waiting for us is
    history and repairs visits; one that stands on its topic for ever is not even that.
    """
    if not (letter.is_retained or letter.is_again):
        return decoded
    found = Decoded(drops=list(decoded.drops))
    oldest_ms = recv_ms - silence_ms if letter.is_retained else None
    for report in decoded.reports:
        why = _why_not(time_of(report), recv_ms, oldest_ms)
        if why:
            found.drops.append(why)
        else:
            found.reports.append(report)
    return found


def _why_not(at_ms: int | None, recv_ms: int, oldest_ms: int | None) -> str:
    if at_ms == recv_ms:
        return "no_time_of_its_own"  # the decoder had nothing better than its arrival
    if at_ms is not None and oldest_ms is not None and at_ms < oldest_ms:
        return "retained_stale"
    return ""


def time_of(report: Report) -> int | None:
    """When it was as the report says, milliseconds; None where that does not matter."""
    for name in ("fix_ms", "seen_time"):
        at_ms = getattr(report, name, None)
        if at_ms is not None:
            return int(at_ms)
    return None
