"""Replay: the same trace gives the same events, however it is cut, shuffled or repeated."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.errors import TraceError
from geoengine.core.model import Cap
from geoengine.core.record import Event, Record
from geoengine.core.telling.events import encode_event
from geoengine.replay.blocks import TraceOptions
from geoengine.replay.explain import explain
from geoengine.replay.gather import Trace, gather
from geoengine.replay.people import read_people, settle_in
from geoengine.replay.report import rejects_shown, summary
from geoengine.replay.run import replay
from geoengine.state import LocalState
from tests.core.world import NOON_MS, UUID, World, a_campaign, a_store, bare, spot

BOOK = World(
    stores=[a_store("one"), a_store("two", 150), a_store("three", 1200)],
    campaigns=[
        a_campaign("hello", caps=[Cap(max=2, per="day")], levers=["push"], initial=True),
        a_campaign("stay", on="dwell", priority=2),
    ],
).book()

Step = tuple[str, float, float]  # device, seconds after noon, metres east

VISIT: list[Step] = [("ann", 0, -900), ("ann", 60, -600), ("ann", 120, 0), ("ann", 180, 5)]


def line(step: Step, recv_s: float | None = None) -> str:
    device_id, seconds, east_m = step
    lon, lat = spot(east_m)
    ping = {
        "device_id": device_id,
        "lat": lat,
        "lon": lon,
        "fix_time": NOON_MS + round(seconds * 1000),
        "accuracy_m": 8,
    }
    if recv_s is not None:
        ping["recv_time"] = rfc3339(NOON_MS + round(recv_s * 1000))
    return json.dumps(ping)


def read(directory: Path, lines: list[str], **options: object) -> Trace:
    path = directory / "trace.ndjson"
    path.write_text("\n".join(lines))
    return gather([path], TraceOptions(**options))  # type: ignore[arg-type]


def run(
    trace: Trace,
    *,
    book: Book = BOOK,
    batch_rows: int = 4_096,
    people: dict[str, Record] | None = None,
    assumed: frozenset[str] = frozenset(),
    until_silent: bool = True,
) -> tuple[list[Event], Counter[str]]:
    events: list[Event] = []

    async def go() -> Counter[str]:
        state = LocalState(None)
        await state.open()
        await settle_in(state, people or {})
        counts = await replay(
            state,
            book,
            trace,
            events.extend,
            assumed=assumed,
            batch_rows=batch_rows,
            until_silent=until_silent,
        )
        await state.close()
        return counts

    return events, asyncio.run(go())


def told(trace: Trace, **more: object) -> list[bytes]:
    return [encode_event(event) for event in run(trace, **more)[0]]  # type: ignore[arg-type]


def kinds(events: list[Event]) -> list[tuple[str, str, float]]:
    return [
        (event.type, event.data["zone_id"], (event.at_ms - NOON_MS) / 1000)
        for event in events
        if event.type.startswith(("zone", "beacon"))
    ]


def test_a_visit_is_entered_dwelled_and_closed_by_the_silence_after_the_trace(
    tmp_path: Path,
) -> None:
    events, counts = run(read(tmp_path, [line(step) for step in VISIT]))
    assert kinds(events) == [
        ("zone.entered", "one", 120),
        ("zone.dwelled", "one", 240),
        ("zone.exited", "one", 180 + 1800),
    ]
    assert (counts["enter"], counts["dwell"], counts["exit"]) == (1, 1, 1)


def test_the_clock_stands_still_with_the_last_row_unless_told_to_run_on(tmp_path: Path) -> None:
    trace = read(tmp_path, [line(step) for step in VISIT])
    assert kinds(run(trace, until_silent=False)[0]) == [("zone.entered", "one", 120)]


def test_a_replay_shows_whom_a_pause_would_silence(tmp_path: Path) -> None:
    trace = read(tmp_path, [line(step) for step in VISIT])
    events, _ = run(trace, book=bare(BOOK, pause="everything"), assumed=frozenset({"push"}))
    said = {e.data["campaign_id"]: e.data.get("reason") for e in events if "trigger" in e.type}
    assert said == {"hello": "paused:engine", "stay": "ok"}  # one by push, one to the log


def test_rows_count_in_order_of_time_wherever_they_stand(tmp_path: Path) -> None:
    lines = [line(step) for step in VISIT]
    assert told(read(tmp_path, lines[::-1])) == told(read(tmp_path, lines)) != []


def test_a_trace_read_twice_gives_no_event_more(tmp_path: Path) -> None:
    lines = [line(step) for step in VISIT]
    assert told(read(tmp_path, lines + lines)) == told(read(tmp_path, lines))


def moves_within(seconds: int) -> st.SearchStrategy[list[Step]]:
    """Up to forty steps of three people about the three stores."""
    east_m = [-1500.0, -130.0, -95.0, 0.0, 60.0, 108.0, 150.0, 240.0, 600.0, 1200.0]
    step = st.tuples(
        st.sampled_from(["ann", "bob", "cid"]),
        st.integers(0, seconds // 10).map(lambda tens: tens * 10.0),
        st.sampled_from(east_m),
    )
    return st.lists(step, min_size=1, max_size=40)


moves = moves_within(4_000)
brief_moves = moves_within(1_500)


@settings(max_examples=25, deadline=None)
@given(moves, st.integers(1, 12), st.randoms(use_true_random=False))
def test_neither_batches_nor_the_order_of_rows_change_a_byte(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], batch_rows: int, rng: object
) -> None:
    # Of one device two places at one time have no order but the file's.
    steps = list({step[:2]: step for step in steps}.values())
    directory = tmp_path_factory.mktemp("law")
    whole = told(read(directory, [line(step) for step in steps]))
    rng.shuffle(steps)  # type: ignore[attr-defined]
    shuffled = read(directory, [line(step) for step in steps])
    assert told(shuffled, batch_rows=batch_rows) == whole


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(brief_moves, st.integers(0, 60)), max_size=4), st.integers(1, 12))
def test_batches_do_not_show_in_what_was_posted_late_either(
    tmp_path_factory: pytest.TempPathFactory, posts: list[tuple[list[Step], int]], batch_rows: int
) -> None:
    directory = tmp_path_factory.mktemp("law")
    at_s, lines = 0.0, []
    for steps, wait_s in posts:
        at_s = max([at_s + wait_s, *(step[1] for step in steps)])
        lines += [line(step, recv_s=at_s) for step in steps]
    trace = read(directory, lines, is_as_posted=True)
    assert told(trace, batch_rows=batch_rows) == told(trace)


def test_as_posted_a_row_behind_its_time_makes_no_transition(tmp_path: Path) -> None:
    late = [VISIT[0], VISIT[3], VISIT[2]]
    in_order, _ = run(read(tmp_path, [line(step) for step in late]))
    as_posted, counts = run(read(tmp_path, [line(step) for step in late], is_as_posted=True))
    assert kinds(in_order)[0] == ("zone.entered", "one", 120)
    assert kinds(as_posted)[0] == ("zone.entered", "one", 180)
    assert counts["late"] == 1


def test_as_posted_rows_of_one_post_are_put_in_order_of_time(tmp_path: Path) -> None:
    rows = [line(step, recv_s=200) for step in VISIT[::-1]]
    events, counts = run(read(tmp_path, rows, is_as_posted=True))
    assert kinds(events)[0] == ("zone.entered", "one", 120)
    assert counts["late"] == 0


def test_several_files_are_replayed_side_by_side(tmp_path: Path) -> None:
    paths = []
    for device in ("ann", "bob"):
        path = tmp_path / f"{device}.ndjson"
        path.write_text("\n".join(line((device, s, e)) for _, s, e in VISIT))
        paths.append(path)
    events, _ = run(gather(paths, TraceOptions()))
    assert [event.person_id for event in events if event.type == "zone.entered"] == ["ann", "bob"]


def test_a_sighting_between_pings_enters_its_place(tmp_path: Path) -> None:
    book = World(places=[("shop", "door")]).book()
    sightings = [
        json.dumps(
            {"uuid": UUID, "major": 1, "minor": 1, "rssi_dbm": -60, "device_id": "ann"}
            | {"seen_time": NOON_MS + second * 1000}
        )
        for second in range(4)
    ]
    events, counts = run(read(tmp_path, sightings), book=book)
    assert ("beacon.entered", "shop/door", 2) in kinds(events)
    assert counts["sightings"] == 4


def test_levers_fire_only_for_those_who_agreed(tmp_path: Path) -> None:
    trace = read(tmp_path, [line(step) for step in VISIT])
    assert run(trace)[1]["suppressed:no_consent:push"] == 1
    assert run(trace, assumed=frozenset({"push"}))[1]["fired"] == 1
    consents = tmp_path / "consents.csv"
    consents.write_text("person_id,purpose,address\nann,push,fcm:token\nbob,sms,+33600000000\n")
    assert run(trace, people=read_people(consents, None))[1]["fired"] == 1


def test_consents_and_attributes_are_read_from_lines_too(tmp_path: Path) -> None:
    consents, attributes = tmp_path / "c.ndjson", tmp_path / "a.ndjson"
    consents.write_text('{"person_id":"ann","purpose":"sms","address":"+33600000000"}\n\n')
    attributes.write_text(
        '{"person_id":"ann","status":"premium","attributes":{"points":310},"locale":"fr"}\n'
    )
    record = read_people(consents, attributes)["ann"]
    assert record.allows("sms")
    assert record.addresses == {"sms": "+33600000000"}
    assert (record.attributes, record.locale) == ({"status": "premium", "points": 310}, "fr")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("person_id,purpose\nann,smoke\n", r":2: purpose must be one of"),
        ("person_id,purpose\n,sms\n", r":2: person_id is missing"),
        ('{"person_id":"ann","purpose":"sms"}\n[]\n', r":2: Expected `object`"),
    ],
)
def test_a_fault_in_the_consents_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "consents.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match=why):
        read_people(path, None)


def test_the_summary_adds_up_what_came_in_and_what_came_out(tmp_path: Path) -> None:
    trace = read(tmp_path, [*(line(step) for step in VISIT), "{}", "nonsense"])
    lines = summary(trace, run(trace)[1])
    assert lines == [
        "fixes              4",
        "rejected           2  (device_id_missing 1, malformed_json 1)",
        "devices            1",
        "entries            1",
        "exits              1",
        "dwells             1",
        "crossings          0",
        "fired              1",
        "suppressed         1  (no_consent:push 1)",
    ]
    assert list(rejects_shown(trace)) == [
        "trace.ndjson:5: device_id_missing",
        "trace.ndjson:6: malformed_json",
    ]


def test_an_explanation_shows_evidence_and_decisions_fix_by_fix(tmp_path: Path) -> None:
    trace = read(tmp_path, [line(step) for step in [*VISIT, ("bob", 0, 0)]])
    events, _ = run(trace)
    rows = explain("ann", trace.fixes, events, BOOK)
    assert [(row.zone_id, row.what) for row in rows] == [
        ("", ""),
        ("", ""),
        ("one", "zone entered; hello suppressed: no_consent:push"),
        ("one", "inside, moat 30 m"),
        ("one", "zone dwelled"),
        ("one", "stay fired by log"),
        ("one", "zone exited (silence)"),
        ("one", "visit closed"),
    ]
    entered = rows[2]
    assert entered.edge_m == pytest.approx(-100, abs=0.1)
    assert entered.p_inside == pytest.approx(1, abs=1e-6)


def test_an_explanation_folds_stretches_near_no_zone(tmp_path: Path) -> None:
    steps = [("ann", 60.0 * n, 5000.0 + n) for n in range(10)]
    trace = read(tmp_path, [line(step) for step in steps])
    [row] = explain("ann", trace.fixes, run(trace)[0], BOOK)
    assert row.what == f"10 fixes in no zone until {rfc3339(NOON_MS + 540_000)}"


def test_an_empty_trace_tells_nothing(tmp_path: Path) -> None:
    trace = read(tmp_path, ["{}"])
    assert run(trace) == ([], Counter())
    assert explain("ann", trace.fixes, [], BOOK) == []
