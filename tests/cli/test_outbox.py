"""`geoengine outbox`, against a free state and against a running service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.core.record import Send
from geoengine.state.base import Commit, Settlement
from geoengine.state.local import LocalState
from tests.levers.sending import a_send
from tests.service.serving import KEYS, served

NOW_MS = 1_795_287_600_000
ADDRESS = "+33612345678"


async def fill(path: Path) -> None:
    """Three rows: one dead, one delivered, one that waits."""
    state = LocalState(path)
    await state.open()
    rows: list[Send] = [
        a_send(send_id=name, address=ADDRESS) for name in ("deadrow", "donerow", "waitrow")
    ]
    await state.commit(Commit("rows", sends=tuple(rows), now_ms=NOW_MS))
    await state.lease(NOW_MS, 10, "me", 60_000)
    ends = [
        Settlement("deadrow", "dead", "http_500", attempts=8),
        Settlement("donerow", "delivered", attempts=1),
        Settlement("waitrow", "retry", "http_503", due_ms=NOW_MS + 5_000, attempts=1),
    ]
    await state.settle(ends, "me", NOW_MS)
    await state.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state on disk that nobody holds."""
    path = tmp_path / "geoengine.db"
    asyncio.run(fill(path))
    return path


def run(*words: object, ok: bool = True) -> Result:
    """The command's result; it must succeed unless told otherwise."""
    result = CliRunner().invoke(main, ["outbox", *map(str, words)])
    assert (result.exit_code == 0) is ok, result.output
    return result


def listed(*words: object) -> dict[str, str]:
    """Id and status of the rows that are listed as JSON."""
    rows = [json.loads(text) for text in run(*words, "--json").stdout.splitlines()]
    return {row["send_id"]: row["status"] for row in rows}


def test_all_rows_are_listed_with_how_they_stand(path):
    assert listed("--state", f"local:{path}") == {
        "deadrow": "dead",
        "donerow": "delivered",
        "waitrow": "pending",
    }


def test_rows_are_listed_by_status_and_up_to_a_limit(path):
    assert listed("--state", f"local:{path}", "--status", "dead") == {"deadrow": "dead"}
    assert len(listed("--state", f"local:{path}", "--limit", 2)) == 2


def test_a_line_tells_why_and_never_the_address(path):
    text = run("--state", f"local:{path}").output
    assert "dead       webhook   8  2026-11-21T19:00:00.000Z  deadrow  http_500" in text
    assert ADDRESS not in text
    assert ADDRESS not in run("--state", f"local:{path}", "--json").output


def test_a_dead_row_named_is_revived(path):
    assert run("--state", f"local:{path}", "retry", "deadrow").stdout == "deadrow\n"
    assert listed("--state", f"local:{path}")["deadrow"] == "pending"


def test_a_row_that_is_not_dead_is_named_and_the_command_fails(path):
    result = run("--state", f"local:{path}", "retry", "donerow", "deadrow", ok=False)
    assert result.stdout == "deadrow\n"
    assert "not dead: donerow" in result.output


def test_all_dead_rows_are_revived(path):
    assert run("--state", f"local:{path}", "retry", "--all-dead").stdout == "deadrow\n"
    assert run("--state", f"local:{path}", "retry", "--all-dead").stdout == ""


@pytest.mark.parametrize("words", [["retry"], ["retry", "deadrow", "--all-dead"]])
def test_retry_wants_either_names_or_all(path, words):
    assert "--all-dead" in run("--state", f"local:{path}", *words, ok=False).output


def test_looking_at_a_state_that_is_not_there_does_not_make_one(tmp_path):
    path = tmp_path / "nothing.db"
    assert "no state at" in run("--state", f"local:{path}", ok=False).output
    assert not path.exists()


def test_a_service_that_does_not_answer_is_named(tmp_path):
    result = run("--url", "http://127.0.0.1:1", ok=False)
    assert "http://127.0.0.1:1 does not answer" in result.output


async def beside(*words: object, ok: bool = True) -> Result:
    """The command beside a service that runs in this process."""
    return await asyncio.to_thread(run, *words, ok=ok)


async def test_while_the_service_holds_the_state_it_is_asked_instead(tmp_path, monkeypatch):
    path = tmp_path / "state.db"
    await fill(path)
    async with served(tmp_path) as client:
        monkeypatch.setenv("GEOENGINE_PORT", str(client.service.port))
        monkeypatch.setenv("GEOENGINE_SERVER_KEYS", f"{KEYS['server']},another")
        state = ("--state", f"local:{path}")
        listing = await beside(*state, "--status", "dead", "--json")
        assert [json.loads(text)["send_id"] for text in listing.stdout.splitlines()] == ["deadrow"]
        assert (await beside(*state, "retry", "--all-dead")).stdout == "deadrow\n"
        assert (await beside("--url", client.url, "--status", "dead")).stdout == ""


async def test_a_key_the_service_does_not_know_is_its_answer(tmp_path):
    async with served(tmp_path) as client:
        result = await beside("--url", client.url, "--key", "guessed", ok=False)
    assert "answers 401" in result.output
    assert "guessed" not in result.output
