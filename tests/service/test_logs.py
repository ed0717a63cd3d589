"""What the logs never hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from geoengine.service.logs import HIDDEN, configure, logger, redact


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("debug", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        {"lat": 48.8583},
        {"location": {"lat": 48.8583, "lon": 2.347}},
        {"authorization": "Bearer abcdef"},
        {"push_token": "tok"},
        {"phone": "+33612345678"},
        {"nested": {"deep": {"email": "ann@example.org"}}},
        {"error": "bad place 48.85837, 2.34701"},
        {"error": "cannot send to ann@example.org or +33612345678"},
        {"error": "Authorization: Bearer abcdef.ghi"},
        {"error": "secret whsec_abcdef"},
        {"rows": ["48.85837", {"token": "tok"}]},
    ],
)
def test_coordinates_keys_and_addresses_are_hidden(secret: dict[str, object]) -> None:
    told = json.dumps(redact(None, "info", dict(secret)), default=str)
    assert HIDDEN in told
    for hidden in ("48.85", "abcdef", 'tok"', "ann@", "3361234"):
        assert hidden not in told


def test_what_is_no_secret_is_kept() -> None:
    line = {"event": "serving", "port": 8080, "took_s": 0.123456, "why": "disk is full", "ok": True}
    assert redact(None, "info", dict(line)) == line | {"took_s": 0.123}


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    logger("test").warning("something", count=3, lat=48.8583)
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert told["event"] == "something"
    assert told["level"] == "warning"
    assert told["count"] == 3
    assert told["lat"] == HIDDEN
    assert isinstance(told["at_ms"], int)


def test_lines_of_libraries_and_tracebacks_are_cleaned_too(lines: io.StringIO) -> None:
    try:
        raise ValueError("no zone at 48.85837 2.34701")
    except ValueError:
        logging.getLogger("library").exception("failed for %s", "ann@example.org")
    told = json.loads(lines.getvalue())
    assert "ValueError" in told["exception"]
    assert "48.858" not in lines.getvalue()
    assert "ann@" not in lines.getvalue()


def test_every_line_says_which_worker_wrote_it(lines: io.StringIO) -> None:
    configure("info", lines, worker=2)
    logger("test").info("ours")
    logging.getLogger("theirs").warning("not ours")
    logger("test").info("of another", worker=3)
    assert [json.loads(line)["worker"] for line in lines.getvalue().splitlines()] == [2, 2, 3]
