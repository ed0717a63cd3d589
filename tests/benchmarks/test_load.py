"""`make load`, short: a crowd against a real service, counted on both sides.

Locust replaces the sockets of the process that imports it; it runs in one of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

with_locust = pytest.mark.skipif(find_spec("locust") is None, reason="the load extra has locust")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=180, check=False
    )


@with_locust
def test_a_crowd_and_the_service_agree_to_the_ping():
    crowd = ("--phones", "60", "--gateways", "4", "--crms", "2", "--tills", "1")
    done = run(
        str(BENCHMARKS / "load.py"), "--seconds", "5", "--pace", "40", "--stores", "50", *crowd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both sides agree to the ping" in done.stdout
    counts = {line[:42].strip(): line[42:66].split() for line in done.stdout.splitlines()}
    crowds, services = counts["taken in"]
    assert crowds == services and int(crowds.replace(",", "")) > 100
    assert int(counts["sightings"][0].replace(",", "")) > 0
    assert int(counts["event: enter"][0].replace(",", "")) > 0


@with_locust
def test_a_service_that_is_not_there_is_told_in_one_line():
    done = run(
        "-m", "locust", "-f", str(BENCHMARKS / "locustfile.py"), "--headless", "--only-summary",
        "--host", "http://127.0.0.1:9", "--run-time", "1s",
    )  # fmt: skip
    assert done.returncode != 0
    assert "Is it up" in done.stdout + done.stderr


def test_every_benchmark_and_every_page_of_results_stands_in_the_table():
    page = (BENCHMARKS / "README.md").read_text()
    for script in BENCHMARKS.glob("bench_*.py"):
        assert f"`{script.name}`" in page
    for results in (BENCHMARKS / "results").glob("*.md"):
        assert f"results/{results.name}" in page
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", page):
        assert (BENCHMARKS / target).exists(), target
