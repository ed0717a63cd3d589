"""Load as users make it: phones, gateways, a CRM and tills.

    locust -f benchmarks/locustfile.py --host http://127.0.0.1:8080 --catalogue config
    ... --headless --phones 2000 --gateways 20 --crms 5 --tills 5 --run-time 2m

Without ``--headless`` the weights are in the web page's form. ``--users`` people share them out;
left away, there are as many as the weights say. Keys come from the variables that the service
itself reads. `crowd.tally` counts what was sent and what was answered; ``--tally FILE`` writes it
down at the end, with locust's own figures. `make load` does all of this against a fresh service.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
from crowd.gateway import Gateway
from crowd.phone import Phone
from crowd.sender import Sender
from crowd.systems import Crm, Till
from crowd.tally import total
from crowd.world import REDEMPTIONS, WorldError, discover
from locust import events

WEIGHTS = {"Phone": ("phones", 2_000), "Gateway": ("gateways", 20), "Crm": ("crms", 5),
           "Till": ("tills", 5)}  # fmt: skip
_reports: dict[str, Counter[str]] = {}  # of other load generators, where there are any

USERS: tuple[type[Sender], ...] = (Phone, Gateway, Crm, Till)


@events.init_command_line_parser.add_listener
def add_arguments(parser: Any) -> None:
    """The crowd's own arguments, also in the form of the web page."""
    for option, default in WEIGHTS.values():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"Weight of {option}")
    parser.add_argument("--pace", type=float, default=1.0, help="So many times as often per phone")
    parser.add_argument("--catalogue", default="", help="Where beacons and gateways are read from")
    parser.add_argument("--ingest", default="", help="URL of the ingest port, to ping through it")
    parser.add_argument(
        "--tally", default="", help="Write the counts here", include_in_web_ui=False
    )


@events.init.add_listener
def set_up(environment: Any, **_: Any) -> None:
    """Without ``--users`` there are as many as the weights say."""
    # The loop still takes it to be when it was made: seconds of imports would count as run time.
    gevent.get_hub().loop.update_now()
    options = environment.parsed_options
    if options.num_users is None:
        options.num_users = sum(getattr(options, option) for option, _ in WEIGHTS.values())
    if options.headless and not options.worker:
        look_around(environment)


@events.test_start.add_listener
def look_around(environment: Any, **_: Any) -> None:
    """Learn what there is to load, and who comes."""
    options = environment.parsed_options
    Sender.tally.counts.clear()
    _reports.clear()
    try:
        Sender.world = discover(
            environment.host, os.environ, options.catalogue, options.gateways, options.ingest
        )
    except WorldError as error:
        raise SystemExit(f"load: {error}") from None
    if not options.worker:  # it is told whom to send
        weigh(environment, options)


@events.test_start.add_listener
def excuse_tills(environment: Any, **_: Any) -> None:
    """Say who was asked for and does not come."""
    if environment.parsed_options.tills and not Till.weight:
        print(f"load: the service has no {REDEMPTIONS}: the tills stay at home")


def weigh(environment: Any, options: Any) -> None:
    """Share the crowd out; leave those at home who have nothing to do."""
    for user in USERS:
        user.weight = getattr(options, WEIGHTS[user.__name__][0])
    if Till.weight and not Sender.world.has_redemptions:
        Till.weight = 0
    environment.user_classes[:] = [user for user in USERS if user.weight > 0]


@events.report_to_master.add_listener
def tell_master(client_id: str, data: dict[str, Any]) -> None:
    """Of several load generators each tells the whole of its tally."""
    data["tally"] = dict(Sender.tally.counts)


@events.worker_report.add_listener
def hear_worker(client_id: str, data: dict[str, Any]) -> None:
    """The latest tally of a load generator."""
    _reports[client_id] = Counter(data.get("tally", {}))


@events.quitting.add_listener
def write_down(environment: Any, **_: Any) -> None:
    """The tally and locust's figures, as JSON."""
    path = environment.parsed_options.tally
    if not path or environment.parsed_options.worker:  # its master writes
        return
    stats = environment.stats
    rows = [*(stats.entries[key] for key in sorted(stats.entries)), stats.total]
    page = {
        "counts": total([Sender.tally.counts, *_reports.values()]),
        "seconds": (stats.last_request_timestamp or 0) - stats.start_time,
        "requests": [_figures(row) for row in rows],
    }
    Path(path).write_text(json.dumps(page), "utf-8")


def _figures(row: Any) -> dict[str, Any]:
    shares = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        "name": f"{row.method} {row.name}" if row.method else "all",
        "requests": row.num_requests,
        "errors": row.num_failures,
        **{name: row.get_response_time_percentile(share) for name, share in shares.items()},
        "max_ms": round(row.max_response_time),
    }
