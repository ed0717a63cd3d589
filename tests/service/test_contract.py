"""The service and its OpenAPI document agree, whatever is thrown at them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from geoengine.service.http.openapi import NDJSON, document
from geoengine.service.routes import ROUTES
from tests.service.serving import KEYS, Client, served


def contract() -> dict[str, Any]:
    """The document, without the lines of JSON that the tester cannot write."""
    told = document(ROUTES)
    for path in ("/v1/pings", "/v1/sightings"):
        del told["paths"][path]["post"]["requestBody"]["content"][NDJSON]
    return told


SCHEMA = schemathesis.openapi.from_dict(contract())
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service in a thread of its own, since the caller blocks."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Client] = []
    loop = asyncio.new_event_loop()

    async def serve(tmp_path: Path) -> None:
        async with served(tmp_path) as client:
            found.append(client)
            ready.set()
            await stop.wait()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(tmp_path_factory.mktemp("contract")))
    )
    thread.start()
    assert ready.wait(20)
    yield found[0].url
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


@SCHEMA.parametrize()
@hypothesis.settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_every_answer_is_one_that_the_contract_names(case: schemathesis.Case, url: str) -> None:
    headers = {"Authorization": f"Bearer {KEYS['server']}"}
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
