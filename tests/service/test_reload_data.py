"""Reaches that are built under a running service."""

from __future__ import annotations

from pathlib import Path

import pytest
from watchfiles import Change

from geoengine.catalog.reach import kept
from geoengine.catalog.reach.journal import Journal
from geoengine.core.places.zones import CIRCLE, POLYGON
from geoengine.service.reload import Written
from tests.catalog.reach.answering import RIVOLI, answer, keep
from tests.service.serving import CATALOGUE, Client, ping, served, types, until, walk_in, written

MINUTES = CATALOGUE.replace("    reach: {radius_m: 300}\n", "", 1)
NORTH_WEST = (48.8593, 2.3460)  # where the answer has its gap


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual data folder, below where the service runs."""
    monkeypatch.chdir(tmp_path)
    return Path("var/data")


async def kind_of_rivoli(client: Client) -> int:
    book = client.service.context.book
    return int(book.zones.kind[book.zone_ix_of["rivoli"]])


async def became(client: Client, kind: int) -> None:
    async def is_it() -> bool:
        return await kind_of_rivoli(client) == kind

    assert await until(is_it, 20)


async def test_a_build_that_ends_is_in_force_without_a_restart(tmp_path: Path, data: Path) -> None:
    async with served(tmp_path, MINUTES, tick_s=0.05) as client:
        assert await kind_of_rivoli(client) == CIRCLE
        told = await client.ok("POST", "/v1/pings", walk_in("phone", NORTH_WEST))
        assert "zone.entered" in types(told), "the circle holds the place"
        keep(data, answer())
        await became(client, POLYGON)
        state = client.service.context.state

        async def is_out() -> bool:
            record = (await state.load(["phone"]))["phone"]
            return not any(stay.is_inside for stay in record.presences.values())

        assert await until(is_out), "the visit of the zone of before is closed"
        told = await client.ok("POST", "/v1/pings", ping("phone", NORTH_WEST))
        assert "zone.entered" not in types(told), "and no street leads here"


async def test_a_build_under_way_changes_nothing_until_it_ends(tmp_path: Path, data: Path) -> None:
    async with served(tmp_path, MINUTES) as client:
        with Journal(data) as journal:
            journal.put(answer())
            assert await client.service.reloader.reload()
            assert await kind_of_rivoli(client) == CIRCLE
            journal.publish()
        await became(client, POLYGON)


async def test_reaches_that_are_damaged_keep_the_good_ones_in_force(
    tmp_path: Path, data: Path
) -> None:
    path = keep(data, answer())
    async with served(tmp_path, MINUTES) as client:
        assert await kind_of_rivoli(client) == POLYGON
        path.write_bytes(path.read_bytes()[:-1])

        async def error() -> str:
            told: str = (await client.ok("GET", "/healthz")).get("reload_error", "")
            return told

        assert "geoengine zones build" in await until(error, 20)
        assert await kind_of_rivoli(client) == POLYGON
        keep(data, answer(RIVOLI, radius_m=200.0))

        async def is_mended() -> bool:
            return not await error()

        assert await until(is_mended, 20)


async def test_another_data_folder_is_looked_at_when_the_catalogue_names_one(
    tmp_path: Path, data: Path
) -> None:
    async with served(tmp_path, MINUTES) as client:
        keep(Path("elsewhere"), answer())
        await client.ok("GET", "/healthz")
        written(tmp_path / "config", f"{MINUTES}  data: elsewhere\n")
        await became(client, POLYGON)
        kept.path_in(Path("elsewhere")).unlink()
        await became(client, CIRCLE)


@pytest.mark.parametrize("name", ["reaches.journal", "reaches.lock", ".tmp4.new"])
def test_a_build_beside_the_catalogue_is_no_change_of_it(name: str) -> None:
    assert not Written()(Change.modified, f"/config/var/data/reaches/{name}")
