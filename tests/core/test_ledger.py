"""The ledger of consents: only ever added to, and whoever tampers with it is found out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.consent import ledger, people, proof
from geoengine.core.consent.merging import merge
from geoengine.core.record import Consent, Record
from tests.core.world import NOON_MS, World

BOOK = World().book()
TILL = {"source": "till", "text_version": "2026-01", "text_hash": "ab" * 32, "locale": "fr"}


def changed(*steps: str, person_id: str = "ann") -> Record:
    """Somebody who gave and took back consents: +sms, -sms ..., a second after the other."""
    record = Record(person_id)
    for second, step in enumerate(steps):
        at_ms = NOON_MS + second * 1_000
        if step[0] == "+":
            people.grant(record, step[1:], dict(TILL), at_ms)
        else:
            people.withdraw(record, step[1:], {"source": "api:app"}, BOOK, at_ms)
    return record


def proven(record: Record) -> dict[str, Any]:
    """What a service hands out, as it is read from a file."""
    entries = [proof.told(packed) for packed in record.ledger]
    made: dict[str, Any] = json.loads(
        json.dumps({"entries": entries, "head": ledger.head(record.ledger)})
    )
    return made


def test_each_change_is_an_entry_with_all_that_was_told():
    record = changed("+sms", "-sms")
    granted, withdrawn = ledger.entries(record.ledger)
    assert (granted.purpose, granted.what, granted.at_ms) == ("sms", "granted", NOON_MS)
    assert (granted.source, granted.text_version, granted.locale) == ("till", "2026-01", "fr")
    assert (withdrawn.what, withdrawn.source) == ("withdrawn", "api:app")
    assert ledger.broken(record.ledger) == ""


def test_a_withdrawal_said_twice_is_written_once():
    record = changed("+sms", "-sms", "-sms", "-sms")
    assert [entry.what for entry in ledger.entries(record.ledger)] == ["granted", "withdrawn"]
    assert record.epoch("sms") == 2


def test_a_yes_said_again_renews_it_and_stops_nothing_that_is_on_its_way():
    record = changed("+sms", "+sms")
    assert [entry.what for entry in ledger.entries(record.ledger)] == ["granted", "granted"]
    assert (record.epoch("sms"), record.consents["sms"].at_ms) == (1, NOON_MS + 1_000)
    ids = {people.grant(record, "sms", TILL, NOON_MS + s)[0].id for s in (2_000, 3_000)}
    assert len(ids) == 2


def test_a_yes_older_than_the_one_that_stands_is_written_down_and_ends_nothing_sooner():
    record = changed("+sms")
    people.grant(record, "sms", {"source": "import"}, NOON_MS + 9_000, NOON_MS - 5_000)
    assert [entry.source for entry in ledger.entries(record.ledger)] == ["till", "import"]
    assert record.consents["sms"].at_ms == NOON_MS
    assert record.consents["sms"].evidence["source"] == "till"


def test_the_same_yes_told_every_night_is_written_down_once():
    record = Record("ann")
    people.grant(record, "sms", TILL | {"by": "server:1"}, NOON_MS, NOON_MS - 5_000)
    again = {"purpose": "sms", "evidence": TILL | {"by": "server:2"}}
    assert people.is_known(record, **again, said_ms=NOON_MS - 5_000)
    assert not people.is_known(record, **again, said_ms=NOON_MS - 4_000)
    assert not people.is_known(record, **again, said_ms=None)
    assert not people.is_known(record, "email", TILL, NOON_MS - 5_000)
    assert not people.is_known(record, "sms", TILL | {"screen": "2"}, NOON_MS - 5_000)
    people.withdraw(record, "sms", {}, BOOK, NOON_MS)
    assert not people.is_known(record, **again, said_ms=NOON_MS - 5_000), "it stands no more"


def test_when_the_person_said_so_is_kept_beside_when_it_was_written_down():
    record = Record("ann")
    people.grant(record, "email", {"source": "web"}, NOON_MS, NOON_MS - 5_000)
    (entry,) = ledger.entries(record.ledger)
    assert (entry.at_ms, entry.said_ms) == (NOON_MS, NOON_MS - 5_000)
    assert record.consents["email"].at_ms == NOON_MS - 5_000


def test_what_was_known_before_there_was_a_ledger_stands_at_its_beginning():
    old = Consent(True, 3, NOON_MS - 9_000, {"source": "app", "screen": "welcome"})
    record = Record("ann", consents={"push": old})
    people.withdraw(record, "push", {"source": "api:app"}, BOOK, NOON_MS)
    first, second = ledger.entries(record.ledger)
    assert (first.what, first.at_ms, first.source) == ("granted", NOON_MS - 9_000, "app")
    assert first.evidence == {"screen": "welcome", "epoch": 3}
    assert second.what == "withdrawn"


@given(st.data())
def test_whatever_entry_is_changed_dropped_or_moved_the_chain_tells(data: st.DataObject):
    record = changed("+sms", "-sms", "+sms", "+email", "-location", "+push")
    head, told = ledger.head(record.ledger), list(record.ledger)
    at = data.draw(st.integers(0, len(told) - 1))
    match data.draw(st.sampled_from(["change", "drop", "swap"])):
        case "change":
            byte = data.draw(st.integers(0, len(told[at]) - 1))
            flip = data.draw(st.integers(1, 255))
            told[at] = told[at][:byte] + bytes([told[at][byte] ^ flip]) + told[at][byte + 1 :]
        case "drop":
            del told[at]
        case "swap":
            other = data.draw(st.integers(0, len(told) - 1).filter(lambda ix: ix != at))
            told[at], told[other] = told[other], told[at]
    is_found = ledger.broken(told) or ledger.head(told) != head or not ledger.is_whole(told)
    assert is_found


def test_a_proof_is_checked_without_whoever_made_it():
    assert proof.fault_of(proven(changed("+sms", "-sms", "+email"))) == ""


def test_a_proof_whose_words_were_changed_says_which():
    made = proven(changed("+sms", "-sms"))
    made["entries"][0]["text_version"] = "2025-12"
    assert proof.fault_of(made) == "entry 0 says another text_version than it was packed with"


def test_a_proof_whose_end_was_cut_off_is_found_out():
    made = proven(changed("+sms", "-sms"))
    del made["entries"][-1]
    assert "last entries are missing" in proof.fault_of(made)


def test_what_is_no_proof_is_said_to_be_none():
    for strange in ({}, {"entries": 3, "head": ""}, {"entries": [{"packed": "*"}], "head": ""}):
        assert proof.fault_of(strange).startswith("not a proof")


def test_the_oldest_entries_leave_first_and_the_rest_still_holds():
    record = Record("ann")
    for number in range(ledger.ENTRIES_MAX + 3):
        people.grant(record, "sms", {"source": "till"}, NOON_MS + number)
    assert len(record.ledger) == ledger.ENTRIES_MAX
    assert ledger.broken(record.ledger) == ""
    assert not ledger.is_whole(record.ledger)


def test_two_ledgers_become_one_in_which_nothing_is_lost():
    ours, theirs = changed("+sms"), changed("+sms", "-sms", person_id="phone")
    before = list(theirs.ledger)
    merge(ours, theirs, now_ms=NOON_MS + 60_000, told={"because": "device"})
    found = ledger.entries(ours.ledger)
    assert [entry.what for entry in found] == ["granted", "carried", "carried", "withdrawn"]
    assert [entry.evidence["entry"] for entry in found[1:3]] == before
    assert found[3].source == "merge"
    assert ledger.broken(ours.ledger) == ""


def test_a_ledger_that_was_carried_once_is_not_wrapped_again():
    first, second = changed("+sms", person_id="a"), Record("b")
    merge(second, first, now_ms=NOON_MS)
    third = Record("c")
    merge(third, second, now_ms=NOON_MS)
    (entry,) = ledger.entries(third.ledger)
    assert entry.evidence["entry"] == first.ledger[0]


def test_a_merge_that_was_cut_short_writes_nothing_twice():
    ours, theirs = changed("+sms"), changed("+email", person_id="phone")
    merge(ours, theirs, now_ms=NOON_MS, told={"because": "device"})
    once = (list(ours.ledger), list(ours.merges))
    merge(ours, theirs, is_again=True, now_ms=NOON_MS, told={"because": "device"})
    assert (ours.ledger, ours.merges) == once
