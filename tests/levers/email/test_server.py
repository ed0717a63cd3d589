"""How an e-mail is handed over, and what becomes of it where that fails."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.levers.email.mail_server import USER
from tests.levers.email.sending import ADA, Opened, a_mail
from tests.levers.sending import NOW_MS


async def test_a_message_travels_encrypted_either_way(server, wrapped):
    for each in (server, wrapped):
        async with Opened(each) as lever:
            assert (await lever.send(a_mail(), NOW_MS)).status == "delivered"
        assert each.encrypted == [True]


async def test_a_relay_on_this_machine_may_be_spoken_to_in_the_clear(server):
    async with Opened(server, encryption="none") as lever:
        assert (await lever.send(a_mail(), NOW_MS)).status == "delivered"
    assert server.encrypted == [False]


async def test_a_server_that_no_longer_offers_encryption_is_told_nothing(server):
    server.offers_starttls = False
    async with Opened(server, user=USER) as lever:
        receipt = await lever.send(a_mail(), NOW_MS)
    assert (receipt.status, receipt.has_left) == ("retry", False)
    assert server.taken == []


async def test_a_server_that_cannot_prove_itself_is_told_nothing(server):
    async with Opened(server, tls=ssl.create_default_context()) as lever:
        receipt = await lever.send(a_mail(), NOW_MS)
    assert (receipt.status, receipt.has_left) == ("retry", False)
    assert server.taken == []


async def test_a_login_is_made_where_one_is_configured(server):
    server.needs_login = True
    async with Opened(server, user=USER) as lever:
        assert (await lever.send(a_mail(), NOW_MS)).status == "delivered"
    for changes in ({"user": USER, "with_password": "hunter2"}, {}):
        async with Opened(server, **changes) as lever:
            receipt = await lever.send(a_mail(), NOW_MS)
        assert (receipt.status, receipt.reason, receipt.has_left) == (
            "retry",
            "bad_credentials",
            False,
        )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"550 5.1.1 <{ADA}>: User unknown", ("gone", "address_dead")),
        ("550 5.1.10 Null MX", ("gone", "address_dead")),
        ("553 5.1.3 Bad address", ("gone", "address_dead")),
        ("550 5.7.1 Relaying denied", ("refused", "smtp_550")),
        (f"550 <{ADA}>: unknown", ("refused", "smtp_550")),  # no code says that it is the mailbox
        ("552 5.2.2 Mailbox full", ("refused", "smtp_552")),
        ("450 4.2.0 Greylisted", ("retry", "smtp_450")),
        ("451 4.7.1 Try later", ("retry", "smtp_451")),
    ],
)
async def test_each_answer_about_a_recipient_has_its_consequence(server, answer, expected):
    server.recipients[ADA] = answer
    async with Opened(server) as lever:
        receipt = await lever.send(a_mail(), NOW_MS)
        assert (receipt.status, receipt.reason) == expected
        assert ADA not in receipt.text
        # The connection is none the worse for it.
        other = await lever.send(a_mail(address="bob@example.org"), NOW_MS)
    assert other.status == "delivered"
    assert server.connection_count == 1


async def test_a_sender_that_is_refused_and_a_message_that_is(server):
    server.senders["bonjour@rivoli.example"] = "550 5.7.1 not you"
    async with Opened(server) as lever:
        assert (await lever.send(a_mail(), NOW_MS)).reason == "smtp_550"
    server.senders.clear()
    server.to_data = "554 5.7.1 spam"
    async with Opened(server) as lever:
        assert (await lever.send(a_mail(), NOW_MS)).status == "refused"
        server.to_data = "451 4.3.0 disk full"
        assert (await lever.send(a_mail(), NOW_MS)).status == "retry"


async def test_connections_are_used_again_and_never_more_than_allowed(server):
    async with Opened(server, connections=3) as lever:
        for _ in range(3):
            await asyncio.gather(*(lever.send(a_mail(), NOW_MS) for _ in range(10)))
    assert len(server.taken) == 30
    assert server.connection_count <= 3
    assert server.most_at_once <= 3


async def test_a_connection_that_was_cut_while_idle_is_replaced_and_nothing_is_lost(server):
    server.cuts_after = 1
    async with Opened(server) as lever:
        for _ in range(4):
            assert (await lever.send(a_mail(), NOW_MS)).status == "delivered"
    assert len(server.taken) == 4


@pytest.mark.parametrize("word", ["EHLO", "MAIL", "RCPT"])
async def test_lost_before_the_message_was_handed_over_nothing_has_left(server, word):
    for silent, cut in ((word, ""), ("", word)):
        server.silent_at, server.cut_at = silent, cut
        async with Opened(server, timeout_s=0.3) as lever:
            receipt = await lever.send(a_mail(), NOW_MS)
        assert (receipt.status, receipt.has_left) == ("retry", False)
    assert server.taken == []


async def test_lost_while_the_message_was_handed_over_it_is_not_repeated(server):
    for silent, cut, reason in (("MESSAGE", "", "timeout"), ("", "MESSAGE", "connection_lost")):
        server.silent_at, server.cut_at = silent, cut
        async with Opened(server, timeout_s=2.0) as lever:
            receipt = await lever.send(a_mail(), NOW_MS)
        assert (receipt.status, receipt.reason) == ("ambiguous", reason)


async def test_a_server_that_is_down_has_received_nothing(server):
    async with Opened(server, port=1) as lever:
        receipt = await lever.send(a_mail(), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == ("retry", "unreachable", False)


async def test_a_send_that_is_cut_off_leaves_no_connection_half_way(server):
    server.silent_at = "MESSAGE"
    async with Opened(server, connections=1) as lever:
        attempt = asyncio.create_task(lever.send(a_mail(), NOW_MS))
        await server.hung.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        server.silent_at = ""
        assert (await lever.send(a_mail(), NOW_MS)).status == "delivered"
