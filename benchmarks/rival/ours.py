"""Our own service in the rival's place: the same pings, posted; and what a replay says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .lanes import Request, http_post
from .told import Told, gathered

PATH = "/v1/pings"
POSTED = 500  # pings a post
VERBS = {"geoengine.zone.entered": "enter", "geoengine.zone.exited": "exit"}
COMMAND = (sys.executable, "-c", "from geoengine.cli import main; main()", "replay")


class OursFailed(Exception):
    """Something was refused that must not be; the text says what."""


def one_by_one(lines: list[bytes]) -> list[Request]:
    """A ping a post."""
    return [Request(http_post(PATH, line)) for line in lines]


def batched(lines: list[bytes]) -> list[Request]:
    """Many pings a post."""
    return [
        Request(http_post(PATH, b"[" + b",".join(lines[start : start + POSTED]) + b"]"))
        for start in range(0, len(lines), POSTED)
    ]


def told(answers: Iterable[bytes]) -> tuple[int, Told]:
    """How many pings were taken in, and the entries and exits that were told."""
    taken, found = 0, []
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise OursFailed(f"{head[:60]!r}: {body[:200]!r}")
        page = json.loads(body)
        taken += page["accepted"]
        found += page["events"]
    found.sort(key=lambda event: event["time"])
    return taken, gathered(_verbs(found))


def replayed(config: Path, trace: Path) -> Told:
    """What the same catalogue tells of the same trace, a fix at its own time and one core at work.

    Raises `OursFailed`.
    """
    out = trace.with_suffix(".events")
    done = subprocess.run(
        [*COMMAND, "--config", str(config), str(trace), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OursFailed(f"replay: {done.stderr[-2_000:]}")
    with out.open("rb") as lines:
        return gathered(_verbs(map(json.loads, lines)))


def _verbs(events: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Entries and exits, by device and by the store whose zone it is."""
    for event in events:
        if event["type"] in VERBS:
            data = event["data"]
            yield data["device_id"], data["store_id"], VERBS[event["type"]]
