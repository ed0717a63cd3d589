"""What is asked of an address before each attempt, and what an e-mail is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from geoengine.core.record import Record, Send
from geoengine.service.consent.suppression import UNSUBSCRIBE_URL, Stopper, Suppression
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, bare
from tests.service.dispatching import a_book, a_row

PHONE, EMAIL = "+33612345678", "Ann@Example.org"
RECORD = Record(
    "ada",
    addresses={"sms": PHONE, "email": EMAIL},
    push_tokens={"phone": ["ios", "tok-1"]},
)
BOOK = bare(a_book(), public_url="https://geo.example.com")


@pytest.fixture
async def state() -> AsyncIterator[LocalState]:
    """An empty state in memory."""
    state = LocalState(None)
    await state.open()
    yield state
    await state.close()


def listing(state: LocalState) -> Suppression:
    """The list of a state that nobody sends from."""

    async def quiesce(_person_id: str) -> None:
        """Nothing is on its way."""

    return Suppression(state, lambda: BOOK, lambda: NOON_MS, quiesce)


def row(lever: str, address: str, **more: Any) -> Send:
    return a_row(lever=lever, address=address, **more)


async def why_not(state: LocalState, send: Send, record: Record = RECORD) -> str:
    return (await Stopper(state, lambda: BOOK).prepare(send, record, NOON_MS)).why_not


async def test_an_address_on_the_list_gets_nothing_however_it_is_written(state: LocalState):
    await listing(state).stop("email", "ann@example.ORG", {"source": "email:one_click"})
    assert await why_not(state, row("email", EMAIL)) == "suppressed:email"
    assert await why_not(state, row("sms", PHONE)) == ""
    await listing(state).start("email", EMAIL)
    assert await why_not(state, row("email", EMAIL)) == ""


async def test_what_was_written_to_an_old_address_does_not_leave(state: LocalState):
    assert await why_not(state, row("sms", "+33600000000")) == "address_changed:sms"
    assert await why_not(state, row("sms", PHONE), Record("ada")) == "address_changed:sms"
    assert await why_not(state, row("push", "ios:tok-0")) == "address_changed:push"
    assert await why_not(state, row("push", "ios:tok-1")) == ""


async def test_systems_and_news_are_not_asked_about(state: LocalState):
    assert await why_not(state, row("webhook", "")) == ""
    assert await why_not(state, row("log", "")) == ""
    assert await why_not(state, row("sms", "+33600000000", kind="event")) == ""


async def test_an_email_is_given_its_way_out_the_same_at_each_attempt(state: LocalState):
    stopper, send = Stopper(state, lambda: BOOK), row("email", EMAIL)
    first = (await stopper.prepare(send, RECORD, NOON_MS)).send
    again = (await Stopper(state, lambda: BOOK).prepare(send, RECORD, NOON_MS + 9)).send
    url = first.event["data"][UNSUBSCRIBE_URL]
    assert url.startswith("https://geo.example.com/u/")
    assert first == again
    assert UNSUBSCRIBE_URL not in send.event["data"], "the row itself stays as it was"
    marks = await listing(state).marks()
    assert marks.opened(url.rpartition("/")[2]) == ("email", marks.address("email", EMAIL))


async def test_without_a_public_address_there_is_no_link(state: LocalState):
    book = bare(BOOK, public_url=None)
    prepared = await Stopper(state, lambda: book).prepare(row("email", EMAIL), RECORD, NOON_MS)
    assert UNSUBSCRIBE_URL not in prepared.send.event["data"]


async def test_the_hashes_of_another_state_are_others(state: LocalState):
    other = LocalState(None)
    await other.open()
    ours, theirs = await listing(state).marks(), await listing(other).marks()
    assert ours.address("sms", PHONE) != theirs.address("sms", PHONE)
    assert theirs.opened(ours.link("sms", ours.address("sms", PHONE))) is None
    await other.close()
