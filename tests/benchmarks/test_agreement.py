"""Two books of one load: when they agree, and that one row too few is seen."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.crowd.agreement import compare, samples
from benchmarks.crowd.tally import Tally, total

ANSWER = {
    "accepted": 3,
    "rejected": [{"index": 3, "reason": "lat_out_of_range"}],
    "events": [{"type": "geoengine.zone.entered"}, {"type": "geoengine.trigger.fired"}],
}
PAGE = """
# HELP geoengine_pings_total Pings and sightings taken in
geoengine_pings_total 3.0
geoengine_rejects_total{reason="lat_out_of_range"} 1.0
geoengine_fixes_total{outcome="accepted"} 2.0
geoengine_fixes_total{outcome="late"} 1.0
geoengine_fixes_total{outcome="coarse"} 1.0
geoengine_transitions_total{kind="enter"} 1.0
geoengine_decisions_total{outcome="fired",reason="allowed"} 1.0
"""


def crowd() -> Tally:
    tally = Tally()
    tally.sent("pings", 4)
    tally.taken("pings", ANSWER)
    return tally


def differing(counts: Counter[str], page: str) -> set[str]:
    return {line.name for line in compare(counts, samples(page)) if not line.agrees}


def test_what_was_answered_is_what_was_counted():
    assert differing(crowd().counts, PAGE) == set()


@pytest.mark.parametrize(
    ("series", "differs"),
    [
        ("geoengine_pings_total 3.0", {"taken in"}),
        ('geoengine_rejects_total{reason="lat_out_of_range"} 1.0', {"rejected: lat_out_of_range"}),
        ('geoengine_fixes_total{outcome="late"} 1.0', {"pings"}),
        ('geoengine_transitions_total{kind="enter"} 1.0', {"event: enter"}),
        (
            'geoengine_decisions_total{outcome="fired",reason="allowed"} 1.0',
            {"trigger: fired"},
        ),
    ],
)
def test_one_row_that_the_service_does_not_know_of_is_a_difference(series: str, differs: set[str]):
    assert differing(crowd().counts, PAGE.replace(series, "")) == differs


def test_an_entry_that_nobody_was_told_of_is_a_difference():
    twice = PAGE.replace('{kind="enter"} 1.0', '{kind="enter"} 2.0')
    assert differing(crowd().counts, twice) == {"event: enter"}


def test_deadlines_may_tell_more_than_any_answer():
    page = PAGE + 'geoengine_transitions_total{kind="exit"} 5.0\n'
    lines = {line.name: line for line in compare(crowd().counts, samples(page))}
    assert lines["event: exit"].agrees
    assert lines["event: exit"].verdict == "+5, of deadlines"


def test_rows_whose_answer_was_lost_may_have_been_taken_and_no_more_than_those():
    tally = crowd()
    tally.sent("pings", 2)
    tally.lost("pings", 2)
    taken = PAGE.replace("pings_total 3.0", "pings_total 5.0")
    taken = taken.replace('{outcome="accepted"} 2.0', '{outcome="accepted"} 4.0')
    assert differing(tally.counts, taken) == set()
    assert differing(tally.counts, taken.replace("_total 5.0", "_total 6.0")) == {"taken in"}


def test_rows_without_consent_blur_which_they_were_but_not_how_many_were_taken():
    page = PAGE + 'geoengine_fixes_total{outcome="no_consent"} 2.0\n'
    assert differing(crowd().counts, page) == set()
    assert differing(crowd().counts, page.replace("pings_total 3.0", "pings_total 4.0")) == {
        "taken in"
    }


def test_a_row_that_an_answer_does_not_mention_is_a_difference():
    tally = crowd()
    tally.sent("pings", 1)
    assert differing(tally.counts, PAGE) == {"answered"}


def test_refusals_are_counted_by_kind():
    tally = crowd()
    tally.sent("pings", 2)
    tally.refused("pings", 2, b'{"type": "urn:geoengine:problem:queue_full", "status": 429}')
    page = PAGE + 'geoengine_problems_total{kind="queue_full"} 1.0\n'
    assert differing(tally.counts, page) == set()
    assert differing(tally.counts, PAGE) == {"problem: queue_full"}


def test_several_load_generators_count_together():
    assert total([crowd().counts, crowd().counts])["accepted:pings"] == 6
