"""Whatever is posted to the native routes: never a 5xx, never a no."""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path

import pytest

from tests.service.natives import APP, ENVIRON, sent
from tests.service.serving import CATALOGUE, served

SEED = 20261122
ROUNDS = 150
CLIENTS = {
    "owntracks": "/in/owntracks",
    "overland": "/in/overland",
    "osmand": "/in/osmand",
    "bgeo": "/in/bgeo",
    "gpslogger": "/in/gpslogger",
}
KINDS = ("minew", "ingics", "ruuvi", "moko", "theengs", "espresense", "meraki", "april_brother")


def spoiled(message: bytes, rng: random.Random) -> bytes:
    """A message with a few of its bytes changed, taken out, or said twice."""
    body = bytearray(message)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body) + 1)
        end = min(len(body), at + rng.randint(0, 9))
        body[at:end] = rng.choice((b"", rng.randbytes(3), b"9" * 30, b'"', b"-1", body[at:end] * 2))
    return bytes(body)


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_spoiled_message_of_a_phone_is_a_success(tmp_path: Path, name: str) -> None:
    examples = import_module(f"tests.ingest.clients.test_{name}").EXAMPLES
    rng = random.Random(SEED)
    async with served(tmp_path, environ=ENVIRON) as client:
        for _ in range(ROUNDS):
            body = spoiled(rng.choice(examples), rng)
            status, told, _ = await sent(client, CLIENTS[name], body, APP)
            assert status == 200, (body, told)
        assert "geoengine_failures_total{" not in client.service.context.metrics.own_page().decode()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_spoiled_message_of_a_gateway_is_a_success(tmp_path: Path, kind: str) -> None:
    examples = import_module(f"tests.ingest.gateways.test_{kind}").EXAMPLES
    row = f"  - {{id: box, store: rivoli, place: entrance, kind: {kind}, secret: boxs-secret}}\n"
    rng = random.Random(SEED)
    async with served(tmp_path, CATALOGUE.replace("engine:\n", row + "engine:\n")) as client:
        for _ in range(ROUNDS):
            body = spoiled(rng.choice(examples), rng)
            status, told, _ = await sent(client, f"/in/gw/{kind}/boxs-secret", body, {})
            assert (status, told) == (200, b"{}"), body
        assert "geoengine_failures_total{" not in client.service.context.metrics.own_page().decode()
