"""Calls to a provider: what an answer is, and how far a lost one came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from geoengine.levers.base import Receipt
from geoengine.levers.web import BODY_MAX_BYTES, Answered, Lost, Web
from tests.levers.receivers import never, pours, receiving, resets, says

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def called(handler: Handler, timeout_s: float = 5.0) -> Answered:
    """What one call to such a server brings."""
    async with receiving(handler) as receiver:
        provider = Web(timeout_s)
        try:
            return await provider.post(receiver.url, b"{}", {"x-key": "1"})
        finally:
            await provider.close()


async def test_an_answer_in_many_packets_is_read_to_its_end():
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=404)
        await response.prepare(request)
        for piece in (b'{"er', b'ror": {"sta', b'tus": "NOT', b'_FOUND"}}'):
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    answer = await called(in_pieces)
    assert (answer.status, answer.body) == (404, b'{"error": {"status": "NOT_FOUND"}}')


async def test_an_answer_without_end_is_read_to_the_limit():
    answer = await called(pours(200, 64 << 20))
    assert len(answer.body) == BODY_MAX_BYTES


async def test_a_redirect_is_an_answer_and_not_followed():
    answer = await called(says(307, Location="http://127.0.0.1:1/"))
    assert answer.status == 307


@pytest.mark.parametrize(("handler", "reason"), [(never, "timeout"), (resets, "connection_lost")])
async def test_an_answer_that_does_not_come_may_have_left(handler, reason):
    with pytest.raises(Lost) as caught:
        await called(handler, timeout_s=0.3)
    assert (caught.value.reason, caught.value.has_left) == (reason, True)
    assert caught.value.receipt(is_repeatable=True).status == "retry"
    assert caught.value.receipt(is_repeatable=False).status == "ambiguous"


async def test_what_never_had_a_connection_has_not_left_and_may_always_be_repeated():
    provider = Web(5.0)
    with pytest.raises(Lost) as caught:
        await provider.post("http://127.0.0.1:1/", b"", {})
    await provider.close()
    for is_repeatable in (True, False):
        receipt = caught.value.receipt(is_repeatable=is_repeatable)
        assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "unreachable", False)
    assert isinstance(receipt, Receipt)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 60_000, b'{"a": 1'])
def test_a_body_that_is_no_json_reads_as_nothing(body):
    assert Answered(200, {}, body).read(dict) is None


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    async with receiving(says(200)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await called(says(204))).status == 204
        assert proxy.requests == []
