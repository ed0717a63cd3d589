"""What an e-mail holds."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from geoengine.core.units import SECOND_MS
from tests.levers.email.sending import ADA, WAY_OUT, Opened, a_mail
from tests.levers.sending import NOW_MS


async def test_an_e_mail_says_it_in_text_and_in_html(server):
    async with Opened(server) as lever:
        receipt = await lever.send(a_mail(), NOW_MS)
    assert receipt.status == "delivered"
    [message] = server.messages
    assert message["From"] == "Maison Rivoli <bonjour@rivoli.example>"
    assert message["To"] == ADA
    assert message["Subject"] == "Un thé ?"
    assert message["Content-Language"] == "fr"
    text = message.get_body(("plain",)).get_content()
    for part in (
        "Bonsoir Ada,\nà 5 min.",
        "Votre code: ABC2345DEF",
        "https://maps.example/?q=1&m=w",
    ):
        assert part in text
    page = message.get_body(("html",)).get_content()
    assert '<a href="https://maps.example/?q=1&amp;m=w"' in page
    assert "Bonsoir Ada,<br>à 5 min." in page
    assert "ABC2345DEF" in page


async def test_the_way_out_stands_in_the_headers_and_in_both_texts(server):
    async with Opened(server) as lever:
        await lever.send(a_mail(), NOW_MS)
    [message] = server.messages
    assert message["List-Unsubscribe"] == f"<{WAY_OUT}>"
    assert f"\r\nList-Unsubscribe: <{WAY_OUT}>\r\n".encode() in server.taken[0][2]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Se désabonner: {WAY_OUT}" in message.get_body(("plain",)).get_content()
    assert f'<a href="{WAY_OUT}"' in message.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "way_out", ["", "mailto:a@b.example", "https://geo.example/u/\r\nBcc: x", "https://é.example/"]
)
async def test_without_a_way_out_no_e_mail_leaves(server, way_out):
    async with Opened(server) as lever:
        receipt = await lever.send(a_mail({"unsubscribe_url": way_out}), NOW_MS)
    assert (receipt.status, receipt.reason, receipt.has_left) == (
        "refused",
        "no_unsubscribe",
        False,
    )
    assert server.connection_count == 0


async def test_the_id_is_the_messages_own_and_the_date_the_attempts(server):
    async with Opened(server) as lever:
        await lever.send(a_mail(), NOW_MS)
        await lever.send(a_mail(), NOW_MS + 60_000)
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"] == "<send-1@rivoli.example>"
    assert parsedate_to_datetime(first["Date"]).timestamp() == NOW_MS / SECOND_MS
    assert parsedate_to_datetime(second["Date"]).timestamp() == NOW_MS / SECOND_MS + 60


async def test_nobody_who_is_away_answers_and_no_list_is_claimed(server):
    async with Opened(server) as lever:
        await lever.send(a_mail(), NOW_MS)
    [message] = server.messages
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] is None


async def test_bounces_go_where_the_operator_says(server):
    async with Opened(server) as lever:
        await lever.send(a_mail(), NOW_MS)
    async with Opened(server, envelope_sender="bounces@rivoli.example", reply_to=ADA) as lever:
        await lever.send(a_mail(), NOW_MS)
    assert [sender for sender, _to, _body in server.taken] == [
        "bonjour@rivoli.example",
        "bounces@rivoli.example",
    ]
    assert server.messages[1]["Reply-To"] == ADA


@pytest.mark.parametrize(
    ("title", "body", "subject"),
    [
        ("", "Un thé ?\nChez Rivoli", "Un thé ?"),
        ("Un thé ?\r\nBcc: eve@example.org", "x", "Un thé ?"),
        ("a\x00b\u2028c", "x", "a b c"),
        ("é" * 400, "x", "é" * 150),
    ],
)
async def test_a_subject_is_one_line_and_brings_no_header_with_it(server, title, body, subject):
    said = {"message": {"locale": "fr", "title": title, "body": body}}
    async with Opened(server) as lever:
        await lever.send(a_mail(said), NOW_MS)
    [message] = server.messages
    assert message["Subject"] == subject
    assert message["Bcc"] is None


async def test_what_a_person_is_called_is_no_html(server):
    said = {"message": {"locale": "fr", "title": "<b>", "body": "Bonsoir <script>x</script>"}}
    async with Opened(server) as lever:
        await lever.send(a_mail(said), NOW_MS)
    page = server.messages[0].get_body(("html",)).get_content()
    assert "<script>" not in page
    assert "<title>&lt;b&gt;</title>" in page


async def test_a_dot_at_the_beginning_of_a_line_arrives(server):
    said = {"message": {"locale": "fr", "title": "x", "body": ".\n..\nfin"}}
    async with Opened(server) as lever:
        receipt = await lever.send(a_mail(said), NOW_MS)
    assert receipt.status == "delivered"
    assert server.messages[0].get_body(("plain",)).get_content().startswith(".\n..\nfin\n")


@pytest.mark.parametrize(
    ("address", "recipient"),
    [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("ada+tea@example.org", None)],
)
async def test_an_address_is_spelt_as_smtp_takes_it(server, address, recipient):
    async with Opened(server) as lever:
        await lever.send(a_mail(address=address), NOW_MS)
    assert server.taken[0][1] == (recipient or address)


@pytest.mark.parametrize(
    "address",
    [
        "assumed",
        "ada@",
        "@example.org",
        "ada@example.org\r\nRCPT TO:<eve@example.org>",
        "ada>@example.org",
        "ada,eve@example.org",
        "ädä@example.org",
    ],
)
async def test_an_address_that_smtp_does_not_take_is_refused(server, address):
    async with Opened(server) as lever:
        receipt = await lever.send(a_mail(address=address), NOW_MS)
    assert (receipt.status, receipt.reason) == ("refused", "bad_address")
    assert server.connection_count == 0
