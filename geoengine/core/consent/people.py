"""What apps, CRM and operators change about a person: consents, facts, identity.

Each function changes a record (a copy that the caller loaded) and returns what else follows.
"""

from __future__ import annotations

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.consent import ledger
from geoengine.core.consent.lapsing import lapsed
from geoengine.core.consent.ledger import What
from geoengine.core.ids import digest
from geoengine.core.model import PURPOSES
from geoengine.core.record import Consent, Event, Fact, Json, Record
from geoengine.core.telling.events import transition_events
from geoengine.core.visiting.visits import close

EXPIRY: Json = {"source": "expiry"}
UNTIL_OF_AGE = "minor"  # among the facts that end by themselves


def grant(
    record: Record, purpose: str, evidence: Json, now_ms: int, said_ms: int | None = None
) -> list[Event]:
    """Record consent for a purpose, with what proves it and when the person said so."""
    return change_consent(record, purpose, "granted", evidence, now_ms, said_ms)


def outdated(record: Record, purpose: str, said_ms: int) -> bool:
    """Whether the person has taken back, since then, what somebody says that they agreed to."""
    consent = record.consents.get(purpose)
    return consent is not None and not consent.is_granted and consent.at_ms > said_ms


def is_known(record: Record, purpose: str, evidence: Json, said_ms: int | None) -> bool:
    """Whether this very yes is written down already and stands: a connector that tells everything
    every night would otherwise push the first entries out of the ledger.
    """
    if said_ms is None or not record.allows(purpose):
        return False
    return ledger.holds(record.ledger, purpose, "granted", evidence, said_ms)


def withdraw(
    record: Record,
    purpose: str,
    evidence: Json,
    book: Book,
    now_ms: int,
    *,
    what: What = "withdrawn",
) -> list[Event]:
    """Record that consent is withdrawn; without `location` nobody is inside anywhere any more.

    Said again it changes nothing: who says STOP twice has said it once.
    """
    consent = record.consents.get(purpose)
    if consent is not None and not consent.is_granted:
        return []
    told = change_consent(record, purpose, what, evidence, now_ms)
    if purpose == "location":
        told += close_all(record, book, now_ms, "consent_withdrawn")
        record.heard.clear()
        record.devices = dict.fromkeys(record.devices, -1)
        record.groups.clear()
        record.attended.clear()
        record.visited.clear()
        record.lag_ms = 0
    return told


def lapse(record: Record, book: Book, now_ms: int) -> tuple[list[Event], list[str]]:
    """Let consents run out whose time is over, and tell of those that are about to.

    Returns what is to be told, and the purposes that have ended.
    """
    told: list[Event] = []
    ended: list[str] = []
    terms = book.consent_terms
    while due := lapsed(record, terms, now_ms):
        for purpose, is_end in due:
            if is_end:
                told += withdraw(record, purpose, EXPIRY, book, now_ms, what="expired")
                ended.append(purpose)
            else:
                record.consents[purpose].is_noticed = True
                told.append(_expiring(record, purpose, book, now_ms))
    return told, ended


def _expiring(record: Record, purpose: str, book: Book, now_ms: int) -> Event:
    consent = record.consents[purpose]
    end_ms = consent.at_ms + book.consent_terms.life_ms[purpose]
    data = {"person_id": record.person_id, "purpose": purpose, "expires": rfc3339(end_ms)}
    name = digest("consent.expiring", record.person_id, purpose, consent.epoch)
    return Event(name, "consent.expiring", now_ms, record.person_id, data)


def change_consent(
    record: Record,
    purpose: str,
    what: What,
    evidence: Json,
    now_ms: int,
    said_ms: int | None = None,
) -> list[Event]:
    """Another epoch of a consent, and its entry in the ledger. A yes to what stands already renews
    it, in the same epoch: what is on its way was agreed to all the time.
    """
    assert purpose in PURPOSES, purpose
    begin_ledger(record)
    is_granted, at_ms = what == "granted", now_ms if said_ms is None else said_ms
    is_again = is_granted and record.allows(purpose)
    epoch = record.epoch(purpose) + (not is_again)
    proof = {name: value for name, value in evidence.items() if name != "by"}  # for the ledger
    if not is_again or at_ms >= record.consents[purpose].at_ms:
        record.consents[purpose] = Consent(is_granted, epoch, at_ms, proof)
    ledger.append(record.ledger, purpose, what, evidence, now_ms, said_ms)
    which = (epoch, len(record.ledger), now_ms) if is_again else (epoch,)
    return [
        Event(
            id=digest("consent", record.person_id, purpose, *which),
            type="consent.changed",
            at_ms=now_ms,
            person_id=record.person_id,
            data={
                "person_id": record.person_id,
                "purpose": purpose,
                "granted": is_granted,
                "epoch": epoch,
                "reason": what,
                "source": str(evidence.get("source", "")),
            },
        )
    ]


def begin_ledger(record: Record) -> None:
    """Write down what was known of somebody before there was a ledger of them."""
    if record.ledger:
        return
    by_time = sorted(record.consents.items(), key=lambda one: (one[1].at_ms, one[0]))
    for purpose, consent in by_time:
        what: What = "granted" if consent.is_granted else "withdrawn"
        told = {"source": ledger.BEFORE_LEDGER} | consent.evidence | {"epoch": consent.epoch}
        ledger.append(record.ledger, purpose, what, told, consent.at_ms)


def opted_out(events: list[Event], store_id: str = "") -> list[Fact]:
    """What reports count of consents that were taken back: for which lever, and where from."""
    return [
        Fact(
            id=digest("opted_out", event.id),
            kind="opted_out",
            person_id=event.person_id,
            at_ms=event.at_ms,
            store_id=store_id,
            data={
                "lever": event.data["purpose"],
                "source": event.data["source"].partition(":")[0],
            },
        )
        for event in events
        if event.type == "consent.changed" and event.data["reason"] == "withdrawn"
    ]


def is_minor(record: Record, now_ms: int) -> bool:
    """Whether somebody is too young: told so, or by a day of birth, of which only the day is kept
    when they are old enough.
    """
    until = record.timed.get(UNTIL_OF_AGE)
    return record.is_minor or (until is not None and now_ms < until.until_ms)


def close_all(record: Record, book: Book, now_ms: int, reason: str) -> list[Event]:
    """Close every visit, and forget every half-confirmed sign of one."""
    told: list[Event] = []
    for zone_id, presence in list(record.presences.items()):
        if presence.is_inside:
            told += transition_events(close(record, zone_id, book, now_ms, reason), book)
        else:
            del record.presences[zone_id]
    return told
