"""What a shop's devices are told, over time: starts, faults, and people who change their mind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from geoengine.core.model import ApnsSpec
from geoengine.core.record import Order
from geoengine.core.telling.staff import Device
from geoengine.core.units import DAY_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.apns import Connection, TeamTokens
from geoengine.levers.push.apple import Apple
from geoengine.levers.push.fcm import Fcm
from geoengine.levers.push.lever import PushLever
from geoengine.service.dispatcher import LEASE_MS
from geoengine.service.sending.rosters import Roster, forget_address, register, take_away
from geoengine.state import amending
from geoengine.state.local import LocalState
from geoengine.state.staffing import devices_of
from tests.core.world import NOON_MS, Walk, World, a_store
from tests.levers.push.apple_double import KEY_ID, TEAM, TOPIC, AppleDouble, apple, p8
from tests.levers.push.google_double import Google, fcm_error, google
from tests.servers.certificates import certificates
from tests.service.dispatching import Clock, Post, a_post

TOKEN, APPLES = "cXk:APA91b", "0f" * 32
DOWN = fcm_error(503, "UNAVAILABLE")


@dataclass
class Counter:
    """A shop with a phone by each of the two services, and Ann, who has come into its reach."""

    path: Path
    walk: Walk
    google: Google
    apple: AppleDouble

    @asynccontextmanager
    async def started(self, at_ms: int = NOON_MS + 60_000) -> AsyncIterator[Post]:
        """A dispatcher on what was committed, as after a start."""
        await self.walk.state.close()
        state = LocalState(self.path)
        options = {"state": state, "clock": Clock(at_ms), "preparers": (Roster(state),)}
        async with (
            self.lever(at_ms) as lever,
            a_post([lever], self.walk.book, **options) as post,  # type: ignore[arg-type]
        ):
            yield post

    @asynccontextmanager
    async def lever(self, at_ms: int) -> AsyncIterator[PushLever]:
        """Push by both services."""
        self.apple.now_s = at_ms // SECOND_MS
        spec = ApnsSpec(team=TEAM, key_id=KEY_ID, topic=TOPIC)
        tokens = TeamTokens(p8(), KEY_ID, TEAM, "KEY")
        lever = PushLever(
            {
                "fcm": Fcm(self.google.account, url=self.google.url, tls=self.google.tls),
                "apns": Apple(spec, tokens, Connection(self.apple.url, 5.0, tls=self.apple.tls)),
            }
        )
        try:
            yield lever
        finally:
            await lever.close()

    @property
    def arrived(self) -> dict[str, list[str]]:
        """The ids under which messages came, by token."""
        found = {TOKEN: [one["android"]["notification"]["tag"] for one in self.google.messages]}
        found[APPLES] = [headers["apns-id"] for headers, _told in self.apple.pushes]
        return found


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    """Told, and nothing sent yet."""
    files = certificates(tmp_path / "tls")
    path = tmp_path / "state.db"
    async with google(files) as fcm_double, apple(files) as apns_double:
        book = World([a_store()], minutes=5).book()
        walk = Walk(book, state=LocalState(path))
        order = Order("shop", NOON_MS - 1, NOON_MS + DAY_MS)
        await walk.agree("ann", "location", "push", orders={"A17": order})
        await register(walk.state, "shop", "counter", Device("android", TOKEN), NOON_MS)
        await register(walk.state, "shop", "office", Device("ios", APPLES), NOON_MS)
        await walk.post((0, 2000), (60, 50))
        yield Counter(path, walk, fcm_double, apns_double)
        await walk.state.close()


def statuses(ends: dict[str, tuple[str, str]]) -> list[str]:
    """How all rows stand."""
    return sorted(status for status, _reason in ends.values())


async def test_after_a_restart_each_device_is_told_once(counter: Counter):
    async with counter.started() as post:
        await post.until_over()
        assert statuses(await post.ends()) == ["delivered", "delivered"]
    async with counter.started() as post:
        await post.until_over()
    assert [len(ids) for ids in counter.arrived.values()] == [1, 1]
    [(_headers, told)] = counter.apple.pushes
    assert told["order_id"] == "A17" and told["arrival"] == "2026-04-14T12:03:30.000Z"


async def test_who_fell_over_before_it_was_written_down_tells_again_under_the_same_id(
    counter: Counter,
):
    now_ms = NOON_MS + MINUTE_MS
    rows = await counter.walk.state.lease(now_ms, 10, "fallen", LEASE_MS)
    [row] = [row for row in rows if TOKEN in row.send.address]
    async with counter.lever(now_ms) as lever:
        assert (await lever.send(row.send, now_ms)).status == "delivered"
    async with counter.started(now_ms + LEASE_MS) as post:
        await post.until_over()
        assert statuses(await post.ends()) == ["delivered", "delivered"]
    first, again = counter.arrived[TOKEN]
    assert first == again
    assert len(counter.arrived[APPLES]) == 1


async def test_each_device_is_tried_again_by_itself_and_under_its_id(counter: Counter):
    counter.google.errors[TOKEN] = DOWN
    async with counter.started() as post:
        await post.dispatcher.step()
        assert statuses(await post.ends()) == ["delivered", "pending"]
        del counter.google.errors[TOKEN]
        await post.until_over()
        assert statuses(await post.ends()) == ["delivered", "delivered"]
    first, again = counter.arrived[TOKEN]
    assert first == again
    assert len(counter.arrived[APPLES]) == 1


async def test_what_could_not_be_told_until_after_the_arrival_expires(counter: Counter):
    counter.google.errors[TOKEN] = DOWN
    async with counter.started() as post:
        await post.until_over()
        assert statuses(await post.ends()) == ["delivered", "expired"]


async def test_neither_the_owners_word_on_pushes_nor_their_pause_or_age_is_asked(counter: Counter):
    walk = counter.walk
    await amending.withdraw(walk.state, walk.book, "ann", "push", {}, NOON_MS + 61_000)
    await walk.agree("ann", is_minor=True, paused_until_ms=NOON_MS + DAY_MS)
    async with counter.started() as post:
        await post.until_over()
        assert statuses(await post.ends()) == ["delivered", "delivered"]


async def test_who_takes_back_being_located_is_told_of_no_more(counter: Counter):
    walk = counter.walk
    await amending.withdraw(walk.state, walk.book, "ann", "location", {}, NOON_MS + 61_000)
    async with counter.started() as post:
        await post.until_over()
    assert counter.arrived == {TOKEN: [], APPLES: []}


async def test_of_who_was_erased_nothing_is_on_its_way(counter: Counter):
    await amending.erase(counter.walk.state, "ann", NOON_MS + 61_000)
    async with counter.started() as post:
        assert await post.rows() == {}
        await post.until_over()
    assert counter.arrived == {TOKEN: [], APPLES: []}


async def test_a_device_that_was_taken_away_hears_no_more_and_a_new_token_is_used(
    counter: Counter,
):
    state = counter.walk.state
    await take_away(state, "shop", "office", NOON_MS)
    await register(state, "shop", "counter", Device("android", "dYk:new"), NOON_MS)
    async with counter.started() as post:
        await post.until_over()
        assert sorted((await post.ends()).values()) == [("delivered", ""), ("refused", "no_device")]
    assert [one["token"] for one in counter.google.messages] == ["dYk:new"]
    assert counter.apple.pushes == []


async def test_a_token_that_died_is_not_the_one_that_came_after_it(counter: Counter):
    state = counter.walk.state
    await register(
        state, "shop", "counter", Device("android", "dYk:new", since_ms=NOON_MS), NOON_MS
    )
    await forget_address(state, "shop", f"android:{TOKEN}", NOON_MS + MINUTE_MS)
    assert sorted(await devices_of(state, "shop")) == ["counter", "office"]
    since_ms = NOON_MS - 1  # it was registered again since then
    await forget_address(state, "shop", "android:dYk:new", NOON_MS + MINUTE_MS, since_ms)
    assert sorted(await devices_of(state, "shop")) == ["counter", "office"]
    await forget_address(state, "shop", "android:dYk:new", NOON_MS + MINUTE_MS)
    assert sorted(await devices_of(state, "shop")) == ["office"]
