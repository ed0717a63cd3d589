"""Several endpoints behind one lever: none bears what another one earned."""

from __future__ import annotations

from standardwebhooks import Webhook

from geoengine.core.model import WebhookSpec
from geoengine.levers.base import Lane, Limits, Receipt
from geoengine.levers.webhook import Endpoint, WebhookLever
from tests.levers.receivers import receiving, says
from tests.levers.sending import NOW_MS, SECRET, SECRET_2, Opened, a_send


def at(id_: str, url: str, secret: str = SECRET, **more: object) -> Endpoint:
    """An endpoint of a test."""
    return Endpoint(WebhookSpec(id=id_, url=url, allow_private=True, **more), secret)


async def test_each_message_goes_to_its_endpoint_signed_with_that_ones_secret(now_s):
    async with receiving(says(200)) as one, receiving(says(200)) as two:
        lever = WebhookLever([at("one", one.url), at("two", two.url, SECRET_2)])
        async with Opened(lever):
            await lever.send(a_send(send_id="s1", address="one"), now_s * 1_000)
            await lever.send(a_send(send_id="s2", address="two"), now_s * 1_000)
    assert (one.ids, two.ids) == (["s1"], ["s2"])
    for receiver, secret in ((one, SECRET), (two, SECRET_2)):
        [(headers, body)] = receiver.requests
        assert Webhook(secret).verify(body, headers) == a_send().event


async def test_410_switches_one_endpoint_off_and_no_other():
    async with receiving(says(410)) as gone, receiving(says(200)) as there:
        lever = WebhookLever([at("gone", gone.url), at("there", there.url)])
        async with Opened(lever):
            for _ in range(2):
                assert (await lever.send(a_send(address="gone"), NOW_MS)).status == "gone"
            assert (await lever.send(a_send(address="there"), NOW_MS)).status == "delivered"
    assert len(gone.requests) == 1


async def test_a_message_for_an_endpoint_that_was_taken_away_is_refused():
    async with receiving(says(200)) as there:
        lever = WebhookLever([at("there", there.url)])
        async with Opened(lever):
            receipt = await lever.send(a_send(address="away"), NOW_MS)
    assert receipt == Receipt("refused", "no_endpoint", has_left=False)


async def test_leave_to_go_inside_is_not_lent_from_one_endpoint_to_another():
    async with receiving(says(200)) as inside:
        allowed = at("allowed", inside.url)
        fenced = Endpoint(WebhookSpec(id="fenced", url="https://inside.example/"), SECRET)
        fenced.url = fenced.url.with_port(inside.port).with_scheme("http").with_host("127.0.0.1")
        lever = WebhookLever([allowed, fenced])
        async with Opened(lever):
            assert (await lever.send(a_send(address="allowed"), NOW_MS)).status == "delivered"
            receipt = await lever.send(a_send(address="fenced"), NOW_MS)
    assert (receipt.status, receipt.reason) == ("refused", "forbidden_address")
    assert len(inside.requests) == 1


def test_each_endpoint_is_a_lane_with_what_it_bears():
    lever = WebhookLever(
        [at("a", "http://a.example", at_once=3, per_second=5.0), at("b", "http://b")]
    )
    assert lever.lane(a_send(address="a")) == Lane("a", Limits(3, 5.0))
    assert lever.lane(a_send(address="b")) == Lane("b", Limits())
    assert lever.lane(a_send(address="unknown")).name not in ("", "a", "b")
