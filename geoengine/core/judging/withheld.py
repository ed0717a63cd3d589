"""What people who are held out would have heard: counted as if it had been said, and never said.

Two arms can be compared from the moment at which each would have been spoken to. That moment
depends on what was said before, by the caps and the cool-down of the campaign. So these must bind
those held out too, or an arm would hold other moments than the other, and other people.
"""

from __future__ import annotations

from msgspec import structs

from geoengine.core.record import Fired, Record, Withheld


def with_withheld(record: Record, campaign_id: str = "") -> Record:
    """The record as it would be had all that was said; of one campaign, or of all with "".

    A copy: nothing of it may be kept.
    """
    withheld = {name: one for name, one in record.withheld.items() if campaign_id in ("", name)}
    if not withheld:
        return record
    totals = dict(record.fired_total)
    for name, one in withheld.items():
        totals[name] = totals.get(name, 0) + one.count
    imagined = [Fired("", name, at_ms) for name, one in withheld.items() for at_ms in one.at_ms]
    return structs.replace(record, fired=[*record.fired, *imagined], fired_total=totals)


def withhold(record: Record, campaign_id: str, now_ms: int, kept_ms: int) -> None:
    """Note what was not said, and forget when that was where no cap asks for it any more."""
    known = record.withheld.get(campaign_id, Withheld())
    at_ms = [at for at in known.at_ms if at >= now_ms - kept_ms]
    record.withheld[campaign_id] = Withheld(known.count + 1, [*at_ms, now_ms])


def joined(ours: Withheld, theirs: Withheld) -> Withheld:
    """What was withheld from two who are one; the same told again adds nothing."""
    at_ms = sorted({*ours.at_ms, *theirs.at_ms})
    return Withheld(max(ours.count, theirs.count, len(at_ms)), at_ms)
