"""`geoengine state` and `geoengine state copy`, on files and on servers."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Fact, Record
from geoengine.service.clock import now_ms
from geoengine.state import LocalState, RedisState, State
from geoengine.state.base import Card, Commit
from geoengine.state.copying import Tally, copy, opened
from tests.servers.proxy import proxying
from tests.servers.server import Server, needed
from tests.servers.shared import cluster, prefix, server
from tests.service.serving import CATALOGUE, served, written
from tests.state.samples import change, commit_of, decision, last, send

PASSWORD = "a-secret-of-the-servers"


async def fill(state: State) -> None:
    """Two people, a device, a dead line crossed long ago, three messages of which one is leased."""
    await state.open()
    people = (change(Record("ann", locale="fr"), due_ms=1_000), change(Record("bob", locale="de")))
    sends = (send("a", "ann"), send("b", "bob"), send("c", "ann", due_ms=9_000))
    happened = (Fact("visit-1", "visit", "ann", 5),)
    parts = {"sends": sends, "decisions": (decision("ann", 5),), "facts": happened}
    await state.commit(commit_of(*people, **parts))
    await state.put_card(Card("code/1", b"free", owner="ann"), 5)
    await state.commit(Commit("fixes", last=last(1_000, "phone")))


async def filled(state: State) -> None:
    await fill(state)
    await state.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state in a file that nobody holds."""
    path = tmp_path / "state.db"
    asyncio.run(filled(LocalState(path)))
    return path


@pytest.fixture(params=["valkey", "redis", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """A shared state of its own, empty."""
    place = cluster("valkey") if request.param == "cluster" else server(request.param)
    return f"{place.url}?prefix={prefix()}"


@pytest.fixture
async def service(url: str) -> AsyncIterator[RedisState]:
    """A process that serves a state with something in it."""
    state = RedisState(url, partition_count=16)
    await fill(state)
    assert await state.lease(1_000, 1, "me", 60_000)
    yield state
    await state.close()


def run(*words: object, ok: bool = True) -> Result:
    """The command's result; it must succeed unless told otherwise."""
    result = CliRunner().invoke(main, ["state", *map(str, words)])
    assert (result.exit_code == 0) is ok, result.output
    return result


def told(*words: object) -> dict[str, Any]:
    """What it says as JSON."""
    found: dict[str, Any] = json.loads(run(*words, "--json").stdout)
    return found


async def beside(work: Any, *words: object, **options: Any) -> Any:
    """The command beside a service that runs in this process."""
    return await asyncio.to_thread(work, *words, **options)


# --- looking ------------------------------------------------------------------------------------


def test_the_sizes_of_a_file_are_told(path):
    found = told("--state", f"local:{path}")
    assert (found["kind"], found["disk_bytes"] > 0) == ("embedded", True)
    assert found["sizes"].pop("oldest_pending_age_ms") > now_ms() - 60_000
    assert found["sizes"] == {
        "people": 2, "devices": 1, "pending": 3, "leased": 0, "dead": 0, "decisions": 1,
        "facts": 1, "cards": 1,
        "deadline_lag_ms": None,
    }  # fmt: skip
    assert "1 facts, 1 cards" in run("--state", f"local:{path}").output
    assert "2 people, 1 devices, 1 decisions" in run("--state", f"local:{path}").output


def test_looking_takes_nothing_away(path):
    looks = [told("--state", f"local:{path}")["sizes"] for _ in range(3)]
    assert [look["devices"] for look in looks] == [1, 1, 1]


def test_the_catalogue_says_where_the_state_is(path, tmp_path):
    engine = CATALOGUE.replace("engine:", f"engine:\n  state: local:{path}")
    config = written(tmp_path / "config", engine)
    assert told("--config", config)["sizes"]["people"] == 2


async def test_of_a_file_that_is_being_served_one_is_told_where_to_look(tmp_path, monkeypatch):
    async with served(tmp_path) as client:
        monkeypatch.setenv("GEOENGINE_PORT", str(client.service.port))
        result = await beside(run, "--state", f"local:{tmp_path / 'state.db'}", ok=False)
    assert result.exit_code == 1
    assert f"{client.url}/metrics" in result.output.replace("\n", "")


@pytest.mark.parametrize("url", ["memory:", "local:nothing.db", "elsewhere:x"])
def test_where_there_is_no_state_none_is_made(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--state", url, ok=False).exit_code == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_shared_state_is_told_with_who_serves_it(service, url):
    found = await beside(told, "--state", url)
    assert (found["kind"], found["partition_count"]) == ("shared", 16)
    sizes = found["sizes"]
    assert sizes["oldest_pending_age_ms"] > 0 and sizes["deadline_lag_ms"] > now_ms() - 60_000
    counts = [sizes[name] for name in ("people", "devices", "pending", "leased", "decisions")]
    assert counts == [2, 1, 3, 1, 1]
    (process,) = found["processes"]
    assert (process["process"], process["is_alive"]) == (service.process, True)
    assert process["partition_count"] == 16 and 0 <= process["beat_age_ms"] < 7_000
    for place in found["servers"]:
        assert place["memory_bytes"] > 0
        assert place["settings"]["maxmemory-policy"] == "noeviction"
    assert found["partitions"] == []


async def test_partitions_are_told_one_by_one_when_asked(service, url):
    found = await beside(told, "--state", url, "--partitions")
    assert [one["partition"] for one in found["partitions"]] == list(range(16))
    assert {one["holder"] for one in found["partitions"]} == {service.process}
    assert sum(one["sizes"]["people"] for one in found["partitions"]) == 2
    shown = (await beside(run, "--state", url, "--partitions")).output
    assert shown.count(service.process) == 17


async def test_who_looks_takes_no_part(service, url):
    before = await service.served_by()
    await beside(run, "--state", url)
    assert before == await service.served_by() == []


async def test_a_process_that_left_is_not_told_and_its_partitions_are_nobodys(service, url):
    await service.close()
    found = await beside(told, "--state", url, "--partitions")
    assert found["processes"] == []
    assert {one["holder"] for one in found["partitions"]} == {""}
    assert "Nobody serves it." in (await beside(run, "--state", url)).output


def test_what_the_servers_cannot_keep_is_told_and_no_password(tmp_path):
    options = {"maxmemory-policy": "allkeys-lru"}
    binary = needed("valkey")
    with Server(directory=tmp_path, binary=binary, password=PASSWORD, options=options) as place:
        found = told("--state", place.url)
        assert "maxmemory-policy is allkeys-lru" in found["concerns"][0]
        shown = run("--state", place.url).output
        assert "concern:" in shown
        assert PASSWORD not in shown
        place.stop()
        assert PASSWORD not in run("--state", place.url, ok=False).output


# --- copying ------------------------------------------------------------------------------------


def checksums(result: Result) -> set[str]:
    return {line.split()[1] for line in result.stdout.splitlines() if line.startswith("checksum")}


def test_a_copy_there_and_back_has_one_checksum(path, url, tmp_path):
    there = run("copy", f"local:{path}", url)
    back = run("copy", url, f"local:{tmp_path / 'back.db'}")
    assert len(checksums(there) | checksums(back)) == 1
    assert "             2  people" in there.stdout
    sizes = told("--state", f"local:{tmp_path / 'back.db'}")["sizes"]
    kinds = ("people", "pending", "decisions", "facts", "cards")
    assert [sizes[kind] for kind in kinds] == [2, 3, 1, 1, 1]


def test_on_a_terminal_a_bar_shows_how_far_it_is(path, tmp_path, monkeypatch):
    assert run("copy", f"local:{path}", f"local:{tmp_path / 'b.db'}").stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "2 people" in run("copy", f"local:{path}", f"local:{tmp_path / 'c.db'}").stderr


def test_a_copy_onto_something_is_refused(path, url):
    run("copy", f"local:{path}", url)
    assert "TO is not empty" in run("copy", f"local:{path}", url, ok=False).output


def test_a_copy_of_nothing_is_refused(tmp_path, url):
    assert "no state at" in run("copy", f"local:{tmp_path / 'no.db'}", url, ok=False).output


async def test_a_copy_of_what_is_being_served_is_refused_with_who_serves_it(service, url, tmp_path):
    result = await beside(run, "copy", url, f"local:{tmp_path / 'b.db'}", ok=False)
    assert service.process in result.output.replace("\n", "")


class BrokenOff(Exception):
    """The copy was interrupted."""


async def broken_off(path: Path, url: str) -> None:
    """A copy that ended before its end."""

    def stop(_: Tally, __: float) -> None:
        raise BrokenOff

    async with opened(LocalState(path)) as origin:
        with pytest.raises(BrokenOff):
            await copy(origin, lambda: RedisState(url, is_onlooker=True), stop)


async def test_a_service_does_not_start_on_a_copy_that_was_broken_off(path, url, tmp_path):
    await broken_off(path, url)
    with pytest.raises(StateUnavailable, match="it begins anew"):
        async with served(tmp_path, state=url):
            pass
    await beside(run, "copy", f"local:{path}", url)
    async with served(tmp_path, state=url) as client:
        assert client.service.port > 0


async def test_a_copy_interrupted_says_what_to_do(path):
    place = server("valkey")
    async with proxying("127.0.0.1", place.port) as proxy:
        url = f"{proxy.url}?prefix={prefix()}"
        has_begun = proxy.drop_request(b"take_in")
        # Whoever runs the tests in the background may have it ignored; at a terminal it is not.
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        words = ("-c", f"{heard}; from geoengine.cli import main; main()", "state", "copy")
        command = await asyncio.create_subprocess_exec(
            sys.executable, *words, f"local:{path}", url, stderr=subprocess.PIPE
        )
        await has_begun.wait()
        proxy.black_hole()
        command.send_signal(signal.SIGINT)
        _, said = await command.communicate()
        proxy.restore()
    assert command.returncode == 130, said
    assert "run it again" in said.decode()
    await beside(run, "copy", f"local:{path}", f"{place.url}?{url.partition('?')[2]}")


def test_how_long_each_kind_is_kept_is_told_with_a_catalogue(tmp_path: Path, path: Path) -> None:
    kept = CATALOGUE + "  retention: {people: 30d}\n"
    config = written(tmp_path / "config", kept)
    ran = run("--config", config, "--state", f"local:{path}")
    assert "kept: decisions 90 days, facts 90 days, messages 7 days" in ran.output
    assert "people 30 days" in ran.output
