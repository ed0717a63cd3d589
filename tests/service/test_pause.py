"""A pause while the service runs: what is queued waits or is dropped, and a reload is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.core.book import Book
from geoengine.core.record import Record, Send
from geoengine.core.rules import may_send
from geoengine.core.units import HOUR_MS
from geoengine.service.sending.ending.settling import PAUSE_LOOKS
from tests.core.world import NOON_MS, bare
from tests.service.dispatching import DELIVERED, Post, a_book, a_post, a_row, answers
from tests.service.serving import CATALOGUE, Client, served, walk_in, written
from tests.service.test_reload import changed, version

FREE = a_book(levers=["email"])
PAUSED = bare(FREE, pause="marketing")


class Switch:
    """The Book in force, which a reload replaces."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def may_send(self, send: Send, record: Record | None, _book: Book, now_ms: int) -> str:
        """The rules, under the Book in force."""
        return may_send(send, record, self.book, now_ms)


async def put(post: Post, late_send: str) -> None:
    await post.consent("ada", "email", True)
    end_ms = NOON_MS + 3 * HOUR_MS
    await post.put(a_row(lever="email", consent_epoch=1, late_send=late_send, expires_ms=end_ms))


async def test_what_holds_waits_for_the_end_of_a_pause_and_goes_soon_after():
    lever, switch = answers(DELIVERED, name="email"), Switch(PAUSED)
    async with a_post([lever], may_send=switch.may_send) as post:
        await put(post, "hold")
        await post.until_over(HOUR_MS)
        assert await post.ends() == {"s1": ("pending", "")}
        ended_ms, switch.book = post.clock.now_ms, FREE
        await post.until_over()
        assert await post.ends() == {"s1": ("delivered", "")}
    [(at_ms, _)] = lever.started
    assert ended_ms <= at_ms <= ended_ms + 3 * HOUR_MS // PAUSE_LOOKS
    assert post.unsent == []


async def test_what_holds_expires_in_a_pause_that_lasts():
    lever = answers(DELIVERED, name="email")
    async with a_post([lever], PAUSED) as post:
        await put(post, "hold")
        await post.until_over()
        assert await post.ends() == {"s1": ("expired", "expired")}
        assert post.clock.now_ms == NOON_MS + 3 * HOUR_MS
    assert lever.started == []


async def test_what_does_not_hold_is_dropped_with_the_reason_and_frees_its_place_under_the_cap():
    lever = answers(DELIVERED, name="email")
    async with a_post([lever], PAUSED) as post:
        await put(post, "drop")
        await post.until_over()
        assert await post.ends() == {"s1": ("refused", "paused:engine")}
    assert lever.started == []
    assert post.unsent == ["s1"]


async def heard(client: Client, device_id: str) -> str:
    """Why whoever walks in now hears of the campaign, or does not."""
    await client.ok("POST", "/v1/pings", walk_in(device_id))
    told = await client.ok("GET", f"/v1/people/{device_id}/decisions")
    reason: str = told["decisions"][0]["reason"]
    return reason


@pytest.mark.parametrize(
    ("lever", "line", "before", "reason", "pause"),
    [
        ("log", "campaign", "ok", "paused:campaign", ""),
        ("push", "engine", "no_consent:push", "paused:engine", "everything"),
    ],
)
async def test_a_reload_pauses_from_the_next_ping_on_and_another_ends_it(
    tmp_path: Path, lever: str, line: str, before: str, reason: str, pause: str
):
    speaks = CATALOGUE.replace("levers: [log]", f"levers: [{lever}]")
    silent = speaks + "  pause: everything\n"
    if line == "campaign":
        silent = speaks.replace("on: enter", "on: enter\n    paused: true", 1)
    async with served(tmp_path, speaks) as client:
        assert await heard(client, "one") == before
        was = await version(client)
        written(tmp_path / "config", silent)
        now = await changed(client, was)
        assert (await client.ok("GET", "/healthz")).get("pause", "") == pause
        assert await heard(client, "two") == reason
        page = (await client.call("GET", "/metrics"))[1].decode()
        assert f'geoengine_decisions_total{{outcome="suppressed",reason="{reason}"}} 1.0' in page
        written(tmp_path / "config", speaks)
        await changed(client, now)
        assert "pause" not in await client.ok("GET", "/healthz")
        assert await heard(client, "three") == before
