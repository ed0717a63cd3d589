"""Endpoints of a running service: what each hears of a walk into a shop, and of a bad secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from standardwebhooks import Webhook

from geoengine.catalog import read
from geoengine.service.sending.senders import senders, shortcomings
from tests.levers.receivers import Receiver, receiving, says
from tests.levers.sending import SECRET, SECRET_2
from tests.service.serving import AWAY, CATALOGUE, RIVOLI, ping, served, until, written

ENVIRON = {"CRM": SECRET, "LAKE": SECRET_2}


def hooks(crm: str, lake: str) -> str:
    """Two endpoints: one of the trigger, one of all that happens at Rivoli."""
    return f"""
  webhooks:
    - id: crm
      url: "{crm}"
      allow_private: true
      secret: {{env: CRM}}
    - id: lake
      url: "{lake}"
      events: [geoengine.*]
      stores: [rivoli]
      allow_private: true
      secret: {{env: LAKE}}
"""


def types(receiver: Receiver, secret: str) -> list[str]:
    """What came, each verified."""
    told = [Webhook(secret).verify(body, headers) for headers, body in receiver.requests]
    return sorted(event["type"] for event in told)


async def test_each_endpoint_of_a_service_hears_what_it_takes_under_its_own_secret(tmp_path: Path):
    async with receiving(says(200)) as crm, receiving(says(200)) as lake:
        text = CATALOGUE.replace("levers: [log]", "levers: [webhook]").rstrip()
        text += hooks(crm.url, lake.url)
        async with served(tmp_path, text, environ=ENVIRON) as client:
            walk = [ping("phone", AWAY, 240), ping("phone", RIVOLI, 60), ping("phone", RIVOLI, 30)]
            await client.ok("POST", "/v1/pings", walk)

            async def all_told() -> bool:
                return len(crm.requests) >= 1 and len(lake.requests) >= 4

            assert await until(all_told)
    assert types(crm, SECRET) == ["geoengine.trigger.fired"]
    assert types(lake, SECRET_2) == [
        "geoengine.trigger.delivered",
        "geoengine.trigger.fired",
        "geoengine.trigger.sent",
        "geoengine.zone.entered",
    ]
    assert not set(crm.ids) & set(lake.ids)


def test_a_secret_that_is_not_there_is_named_with_its_endpoint(tmp_path: Path):
    url = "https://crm.example/hook"
    book = read(written(tmp_path / "config", CATALOGUE.rstrip() + hooks(url, url))).book
    [told] = shortcomings(book, {"CRM": SECRET})
    assert "lake" in told
    assert "LAKE" in told
    with pytest.raises(ValueError, match="lake"):
        senders(book, {"CRM": SECRET})
    # A campaign of the catalogue goes by SMS, of which nothing is configured.
    assert shortcomings(book, ENVIRON) == ["no sender for sms (engine.sms): text"]
