"""`geoengine report`: from a free state, from a running service, and as files."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from geoengine.cli import main
from geoengine.cli.asking.report_page import print_report
from geoengine.core.record import Decision, Fact
from geoengine.service.wire.reports import CampaignReport, CampaignsReport, Figures
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.service.reports.past import OnPaper, at, crowd
from tests.service.serving import KEYS, Client, served, written

CATALOGUE = """
stores:
  - {id: shop, name: Shop, location: {lat: 48.8583, lon: 2.3470}, time_zone: Europe/Paris}
  - {id: other, name: Other, location: {lat: 48.8533, lon: 2.3692}, time_zone: Europe/Paris}
campaigns:
  - {id: hello, on: enter, levers: [log], message: {en: "Hello."}}
engine: {measure: {people_min: 20}}
"""
WEEK = ("--from", "2026-11-02", "--to", "2026-11-08")


def week() -> list[Decision | Fact]:
    """A week in two shops: thirty people at the one, three at the other, and who was held out."""
    past = OnPaper()
    for ix, person in enumerate(crowd(30)):
        trigger = past.fire(person, at(0))
        past.happen("sent", trigger, at(0), cost=0.05, currency="EUR")
        past.visit(person, at(1, 9 + ix % 8), path=[["door", 10.0], ["@till", 20.0]])
    for person in crowd(3, "few"):
        past.fire(person, at(2), store="other")
    for person in crowd(30, "held"):
        past.stop(person, at(0), "holdout")
    return past.items


async def fill(path: Path) -> None:
    state = LocalState(path)
    await state.open()
    rows = week()
    decisions = tuple(one for one in rows if isinstance(one, Decision))
    facts = tuple(one for one in rows if isinstance(one, Fact))
    await state.commit(Commit("week", decisions=decisions, facts=facts, now_ms=at(3)))
    await state.close()


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state that nobody holds, with a week in it."""
    asyncio.run(fill(tmp_path / "state.db"))
    return f"local:{tmp_path / 'state.db'}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return written(tmp_path / "config", CATALOGUE)


def run(*words: object, ok: bool = True) -> Result:
    result = CliRunner().invoke(main, ["report", *map(str, words)])
    assert (result.exit_code == 0) is ok, result.output
    return result


def test_a_report_to_read(config: Path, state: str):
    told = run("campaigns", config, "--state", state, *WEEK, "--by", "store").stdout
    assert "hello" in told and "shop" in told and "other" in told
    assert "+90.9 of 100" in told
    assert "- is fewer than 20 people" in told
    assert "1.50 EUR" in told  # what was sent has cost
    told = run("stores", config, "--state", state, *WEEK).stdout
    assert "shop" in told and "@till" in told


def test_many_are_told_to_the_last_one():
    people, entries, visits = 1_234_567, 2_345_678, 1_500_000.5
    figures = Figures(people, entries, 0, {}, 0, 0, 0, 0, 0, 0, visits, 0, 0, None, {}, 0)
    campaigns = [CampaignReport("hello", figures)]
    report = CampaignsReport("", "", "", "last", "7d", 20, campaigns, lift=None)
    console = Console(width=200, force_terminal=True)
    with console.capture() as said:
        print_report(report, console)
    told = said.get()
    assert "1,234,567" in told and "2,345,678" in told and "1,500,000.5" in told


def test_a_table_for_a_spreadsheet_holds_no_formula(config: Path, state: str, tmp_path: Path):
    out = tmp_path / "stores.csv"
    run("stores", config, "--state", state, *WEEK, "--out", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["what"] for row in rows} == {"store", "day", "place", "path"}
    assert {row["place"] for row in rows if row["what"] == "place"} == {"door", "'@till"}


def test_hidden_parts_have_no_figure_in_a_table(config: Path, state: str, tmp_path: Path):
    out = tmp_path / "campaigns.csv"
    run("campaigns", config, "--state", state, *WEEK, "--by", "store", "--out", out)
    rows = {row["part"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert (rows["all"]["people"], rows["all"]["visits"]) == ("63", "30.0")
    assert rows["all"]["cost_EUR"] == "1.5"
    assert rows["store=other"]["hidden"] == "True"
    told = ("campaign_id", "part", "hidden")
    assert not any(value for name, value in rows["store=other"].items() if name not in told)


def test_parquet_holds_what_the_report_says(config: Path, state: str, tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "campaigns.parquet"
    run("campaigns", config, "--state", state, *WEEK, "--out", out)
    (row,) = parquet.read_table(out).to_pylist()
    assert (row["campaign_id"], row["fired"], row["lift_verdict"]) == ("hello", 33, "more")


def test_json_is_what_the_service_gives(config: Path, state: str, tmp_path: Path):
    out = tmp_path / "campaigns.json"
    run("campaigns", config, "--state", state, *WEEK, "--out", out)
    told = json.loads(out.read_text())
    assert told["from"] == "2026-11-01T23:00:00.000Z"
    assert told["campaigns"][0]["figures"]["lift"]["held_out"]["people"] == 30


def test_what_cannot_be_done_is_said(config: Path, state: str, tmp_path: Path):
    assert "no state at" in run("campaigns", config, "--state", "local:none.db", ok=False).output
    wrong = run("campaigns", config, "--state", state, "--out", tmp_path / "x.xls", ok=False)
    assert ".csv, .parquet, .json" in wrong.output
    wrong = run("campaigns", config, "--state", state, "--from", "yesterday", ok=False)
    assert "from" in wrong.output
    wrong = run("campaigns", "--url", "http://127.0.0.1:9", ok=False)
    assert "does not answer" in wrong.output


@pytest.fixture
def service(tmp_path: Path, state: str) -> Iterator[Client]:
    """A service that holds the state, in a thread of its own."""
    ready, found = threading.Event(), []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with served(tmp_path, CATALOGUE, state=state) as client:
            found.append(client)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


def test_a_running_service_is_asked_for_the_same_report(
    service: Client, config: Path, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key = ("--key", KEYS["server"])
    run("campaigns", "--url", service.url, *key, *WEEK, "--out", tmp_path / "asked.json")
    monkeypatch.setenv("GEOENGINE_PORT", str(service.port))
    run("campaigns", config, "--state", state, *key, *WEEK, "--out", tmp_path / "found.json")
    asked, found = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("asked", "found"))
    assert asked == found
    assert asked["campaigns"][0]["figures"]["people"] == 63
    assert "403" in run("stores", "--url", service.url, "--key", KEYS["app"], ok=False).output
