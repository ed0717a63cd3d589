"""`geoengine send-test`, on a free state and against a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.core.record import Record
from geoengine.state.base import Change, Commit
from geoengine.state.local import LocalState
from tests.service.serving import CATALOGUE, KEYS, served, written


async def fill(path: Path) -> None:
    """A state that knows Ada."""
    state = LocalState(path)
    await state.open()
    record = Record("ada", attributes={"status": "premium"})
    await state.commit(Commit("ada", changes=(Change(record, None),)))
    await state.close()


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    """The options that lead to a catalogue and a state that nobody holds."""
    written(tmp_path / "config", CATALOGUE)
    asyncio.run(fill(tmp_path / "state.db"))
    return ["--config", str(tmp_path / "config"), "--state", f"local:{tmp_path / 'state.db'}"]


def run(*words: str, code: int = 0) -> Result:
    """The command's result."""
    result = CliRunner().invoke(main, ["send-test", *words])
    assert result.exit_code == code, result.output
    return result


def test_a_message_by_a_lever_that_works_is_delivered(here: list[str]):
    told = run("log", "ada", *here).stdout.splitlines()
    assert "geoengine.test.message" in told[0]  # the lever at work
    assert told[1] == "ok  a sender for the lever"
    assert all(line.startswith("ok  ") for line in told[1:-1])
    assert told[-1].startswith("delivered")


def test_what_stands_against_it_is_told_and_nothing_is_sent(here: list[str]):
    told = run("sms", "ada", *here, code=1).stdout.splitlines()
    assert "no  a sender for the lever: no_sender:sms" in told
    assert "no  consent to sms: no_consent:sms" in told
    assert "no  an address: no_address" in told
    assert told[-1] == "Stopped: nothing was sent."


def test_a_person_nobody_knows_gets_nothing(here: list[str]):
    told = run("log", "eve", *here, code=1).stdout
    assert "no  the person is known: unknown_person" in told


def test_nothing_overrules_what_stands_against_it(here: list[str]):
    assert "No such option" in run("sms", "ada", "--force", *here, code=2).output


async def test_a_running_service_is_asked_instead(tmp_path: Path):
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/people/ada", {"attributes": {"status": "premium"}})
        words = ["log", "ada", "--url", client.url, "--key", KEYS["server"]]
        told = await asyncio.to_thread(run, *words)
    assert told.stdout.splitlines()[-1].startswith("delivered")
