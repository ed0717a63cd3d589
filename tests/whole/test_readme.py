"""The README, tried as a new user would: its commands run as they stand."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.S)


def run(block: str, here: Path) -> subprocess.CompletedProcess[str]:
    """One block of the README, in a directory whose ``.venv/bin`` is the running Python's."""
    script = block.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    return subprocess.run(
        ["bash", "-euc", script], cwd=here, capture_output=True, text=True, timeout=120, check=False
    )


def block(words: str) -> str:
    """The block that holds these words."""
    (found,) = [text for text in BLOCKS if words in text]
    return found


def test_the_tour_writes_a_store_checks_it_replays_a_trace_and_says_why(tmp_path: Path):
    for words in ("cat > tour/shop.yaml", "geoengine check tour"):
        done = run(block(words), tmp_path)
        assert done.returncode == 0, done.stderr
    assert "300 m" in done.stdout
    assert json.loads((tmp_path / "zones.geojson").read_text())["type"] == "FeatureCollection"

    replayed = run(block("cat > walk.csv"), tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    kinds = [
        json.loads(line)["type"].removeprefix("geoengine.") for line in replayed.stdout.splitlines()
    ]
    assert kinds == ["zone.entered", "trigger.fired", "zone.dwelled", "zone.exited", "visit.closed"]

    explained = run(block("--explain ann"), tmp_path)
    assert "no_consent:push" in explained.stderr


def test_every_verb_that_the_readme_names_has_help(tmp_path: Path):
    verbs = set(re.findall(r"geoengine ([a-z]+)", README)) - {"geoengine", "and"}
    known = {"serve", "check", "replay", "zones", "schema", "outbox"}
    assert known <= verbs
    for verb in known:
        done = run(f".venv/bin/geoengine {verb} --help", tmp_path)
        assert done.returncode == 0 and "Usage:" in done.stdout


def test_every_file_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_tours_service_answers_why_nothing_was_said(tmp_path: Path):
    run(block("cat > tour/shop.yaml"), tmp_path)
    script = block("geoengine serve --config tour") + "kill -TERM $!\nwait $!\n"
    port = free_port()
    done = run(script.replace("8081", str(port)).replace("sleep 5", up(port)), tmp_path)
    assert done.returncode == 0, done.stderr
    answer, decisions = (
        json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines()
    )
    assert answer["accepted"] == 2
    assert answer["events"][0]["type"] == "geoengine.zone.entered"
    assert decisions["decisions"][0]["campaign_id"] == "afterwork"


def up(port: int) -> str:
    """A shell loop that waits until the service answers, two minutes at most."""
    asks = f"curl -sf http://127.0.0.1:{port}/readyz >/dev/null"
    return f"for i in $(seq 240); do {asks} && break; sleep 0.5; done"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
