"""A catalogue that changes under a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from watchfiles import Change

from geoengine.catalog.keeping.packed import Structs
from geoengine.service.reload import Written
from tests.service.serving import (
    CATALOGUE,
    RIVOLI,
    Client,
    ping,
    served,
    types,
    until,
    walk_in,
    written,
)

BAD = "stores:\n  - id: rivoli\n    nam: Maison\n  - {id: two, name: Two}\n"
SMALLER = CATALOGUE.replace("{radius_m: 300}", "{radius_m: 310}", 1)


async def version(client: Client) -> str:
    told: str = (await client.ok("GET", "/healthz"))["book_version"]
    return told


async def changed(client: Client, before: str) -> str:
    async def other() -> str:
        now = await version(client)
        return now if now != before else ""

    found: str = await until(other, 10)
    return found


async def test_a_good_change_is_in_force_without_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        before = await version(client)
        written(tmp_path / "config", CATALOGUE.replace("id: hello", "id: bonjour"))
        after = await changed(client, before)
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert told["events"][1]["data"]["campaign_id"] == "bonjour"
        page = (await client.call("GET", "/metrics"))[1].decode()
        assert f'geoengine_book{{version="{after}"}} 1.0' in page
        assert before not in page
        assert 'geoengine_reload_total{result="ok"} 1.0' in page


async def test_a_bad_change_is_kept_out_and_told_of(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        before = await version(client)
        written(tmp_path / "config", BAD)

        async def error() -> str:
            told: str = (await client.ok("GET", "/healthz")).get("reload_error", "")
            return told

        told = await until(error, 10)
        assert "catalogue.yaml:3:" in told, "the fault's place"
        assert len(told.splitlines()) > 1, "all faults at once"
        assert await version(client) == before
        assert (await client.call("GET", "/readyz"))[0] == 200, "it still serves the good one"
        page = (await client.call("GET", "/metrics"))[1].decode()
        assert "geoengine_reload_failed 1.0" in page
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert types(told) == ["zone.entered", "trigger.fired"]
        written(tmp_path / "config", SMALLER)
        await changed(client, before)
        assert "reload_error" not in await client.ok("GET", "/healthz")


async def test_a_directory_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        before = await version(client)
        (tmp_path / "config").rename(tmp_path / "elsewhere")
        assert not await client.service.reloader.reload()
        told = await client.ok("GET", "/healthz")
        assert told["book_version"] == before
        assert told["reload_error"]


async def test_a_webhook_that_comes_with_a_reload_is_told_when_it_has_no_secret(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        before = await version(client)
        hook = '  webhook: {url: "https://example.org/hook"}\n'
        written(tmp_path / "config", CATALOGUE + hook)
        await changed(client, before)
        assert "webhook" in (await client.ok("GET", "/healthz"))["reload_error"]
        assert set(client.service.levers) == {"log"}


async def test_a_zone_that_goes_closes_its_visits_also_of_those_never_heard_of_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, sweep_people=2, tick_s=0.05) as client:
        people = [f"phone-{ix}" for ix in range(7)]
        for name in people:
            await client.ok("POST", "/v1/pings", walk_in(name))
        before = await version(client)
        written(tmp_path / "config", CATALOGUE.replace("{radius_m: 300}", "{radius_m: 290}", 1))
        await changed(client, before)
        state = client.service.context.state

        async def all_closed() -> bool:
            records = await state.load(people)
            stays = [stay for record in records.values() for stay in record.presences.values()]
            return not any(stay.is_inside for stay in stays)

        assert await until(all_closed)


async def test_a_change_that_touches_no_zone_leaves_visits_open(tmp_path: Path) -> None:
    async with served(tmp_path, tick_s=0.05) as client:
        await client.ok("POST", "/v1/pings", walk_in("phone"))
        before = await version(client)
        written(tmp_path / "config", CATALOGUE.replace("Five minutes to", "Nearly at"))
        await changed(client, before)
        worker = client.service.context.worker

        async def swept() -> bool:
            return worker._sweep_after is None

        assert await until(swept)
        told = await client.ok("POST", "/v1/pings", ping("phone", RIVOLI))
        assert types(told) == []


async def test_pings_are_served_while_the_catalogue_is_written_to_and_fro(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        stop = asyncio.Event()

        async def write() -> None:
            texts = [CATALOGUE, SMALLER, BAD]
            turn = 0
            while not stop.is_set():
                written(tmp_path / "config", texts[turn % 3])
                turn += 1
                await asyncio.sleep(0.02)

        writing = asyncio.create_task(write())
        for ix in range(60):
            told = await client.ok("POST", "/v1/pings", walk_in(f"phone-{ix}"))
            assert "zone.entered" in types(told)
        stop.set()
        await writing
        before = await version(client)
        final = CATALOGUE.replace("id: hello", "id: last")
        written(tmp_path / "config", final)
        await changed(client, before)
        campaigns = (await client.ok("GET", "/v1/campaigns"))["campaigns"]
        assert [one["id"] for one in campaigns] == ["last", "text"], "the last valid one wins"


async def test_asking_by_signal_reads_the_catalogue_again(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        reloader = client.service.reloader
        client.service.context.reload_error = "of before"
        reloader.ask()

        async def read_again() -> bool:
            return not client.service.context.reload_error

        assert await until(read_again)


ROWS = CATALOGUE.replace("stores:\n", "stores:\n  - import: more.csv\n", 1)
HEADER = "id,name,lat,lon,setting,radius_m\n"


def with_rows(directory: Path, *rows: str) -> Path:
    """A catalogue directory whose YAML imports these rows."""
    directory.mkdir(exist_ok=True)
    (directory / "more.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), "utf-8")
    return directory


async def test_rows_are_read_by_another_process_and_arrive_as_columns(tmp_path: Path) -> None:
    with_rows(tmp_path / "config", "one,One,48.1,2.1,city,300")
    async with served(tmp_path, ROWS, cache=str(tmp_path / "cache")) as client:
        before = await version(client)
        with_rows(tmp_path / "config", "one,One,48.1,2.1,city,300", "two,Two,48.2,2.2,city,300")
        await changed(client, before)
        book = client.service.context.book
        assert isinstance(book.stores, Structs), "not an object per store"
        assert [store.id for store in book.stores][:2] == ["one", "two"]
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert types(told) == ["zone.entered", "trigger.fired"]
        with_rows(tmp_path / "config", "one,One,48.1,2.1,city,300")
        assert await client.service.reloader.reload()
        assert await version(client) == before, "a change back is the same catalogue again"
        assert len(list((tmp_path / "cache").glob("*.book"))) == 1, "the YAML is the same"


YARD = "zones:\n  - {id: yard, polygon: {type: Polygon, coordinates: [[RING]]}}\n"
RING = "[2.0, 48.0], [2.1, 48.0], [2.1, 48.1], [2.0, 48.1], [2.0, 48.0]"
IN_THE_YARD = (48.05, 2.05)


async def test_the_index_of_polygons_comes_ready_made(tmp_path: Path) -> None:
    drawn = CATALOGUE + YARD.replace("RING", RING)
    async with served(tmp_path, drawn, cache=str(tmp_path / "cache")) as client:
        before = await version(client)
        written(tmp_path / "config", drawn.replace("id: hello", "id: bonjour"))
        await changed(client, before)
        arrays = client.service.context.book.index.arrays
        assert not arrays["polygons.grid.items"].flags.writeable, "they are a file's"
        told = await client.ok("POST", "/v1/pings", walk_in("phone", IN_THE_YARD))
        assert "zone.entered" in types(told)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.yaml", True), ("s.csv", True), ("0a1b.book", False), (".0a1b.new", False)],
)
def test_what_is_kept_in_the_catalogues_own_directory_is_no_change_of_it(
    name: str, expected: bool
) -> None:
    assert Written()(Change.modified, f"/config/cache/{name}") is expected


async def test_a_fault_that_another_process_finds_keeps_the_good_one(tmp_path: Path) -> None:
    with_rows(tmp_path / "config", "one,One,48.1,2.1,city,300")
    async with served(tmp_path, ROWS, cache=str(tmp_path / "cache")) as client:
        before = await version(client)
        (tmp_path / "config" / "more.csv").write_text("id,name\nx,X\n", "utf-8")
        assert not await client.service.reloader.reload()
        told = await client.ok("GET", "/healthz")
        assert "catalogue.yaml:3:" in told["reload_error"]
        assert told["book_version"] == before
