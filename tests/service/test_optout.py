"""Everywhere people say STOP, and the list that outlives them."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from geoengine.cli import main
from geoengine.service.consent.twilio import TOKEN_VARIABLE, is_signed, params_of, signature
from tests.service.serving import CATALOGUE, KEYS, Client, served, written

VECTORS = Path(__file__).parents[3] / "shared/payloads/twilio/signature_vectors.json"
TOKEN = "twilio-token-0123456789"
PUBLIC = CATALOGUE + "  public_url: https://geo.example.com\n"
PHONE, EMAIL = "+33612345678", "ann@example.org"


async def subscribe(client: Client, person_id: str, **facts: str) -> None:
    """Somebody with addresses, who agreed to every lever they are of."""
    await client.ok("PUT", f"/v1/people/{person_id}", facts)
    for purpose in ("sms", "email"):
        await client.ok("PUT", f"/v1/people/{person_id}/consents/{purpose}")


async def granted(client: Client, person_id: str) -> dict[str, bool]:
    consents = (await client.ok("GET", f"/v1/people/{person_id}/consents"))["consents"]
    return {purpose: consent["granted"] for purpose, consent in consents.items()}


async def last_source(client: Client, person_id: str) -> str:
    entries = (await client.ok("GET", f"/v1/people/{person_id}/consents"))["entries"]
    return entries[-1]["source"]


async def twilio(client: Client, body: dict[str, str], token: str = TOKEN) -> tuple[int, Any]:
    """As Twilio posts an answer."""
    url = "https://geo.example.com/in/sms/twilio?a=1"
    shown = {
        "X-Twilio-Signature": signature(token, url, list(body.items())),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    raw = urlencode(body).encode()
    status, told, _ = await client.using(None).call("POST", "/in/sms/twilio?a=1", raw, shown)
    return status, told


@pytest.mark.skipif(not VECTORS.exists(), reason="no shared payloads beside this tree")
def test_twilios_own_signatures_are_known_and_no_others() -> None:
    told = json.loads(VECTORS.read_text("utf-8"))
    for vector in told["vectors"]:
        url = vector.get("url", told["url"])
        body = vector.get("body") or urlencode([tuple(pair) for pair in vector["params"]])
        for token, is_right in ((told["auth_token"], True), ("another", False)):
            assert is_signed(token, url, body.encode(), vector["signature"]) is is_right
        assert not is_signed(told["auth_token"], url, body.encode() + b"&a=b", vector["signature"])


async def test_an_answer_by_twilio_that_says_stop_ends_the_consent(tmp_path: Path) -> None:
    async with served(tmp_path, PUBLIC, environ={TOKEN_VARIABLE: TOKEN}) as client:
        await subscribe(client, "ann", phone=PHONE, email=EMAIL)
        said = {"From": PHONE, "To": "+33700000000", "Body": "Arrêt !", "MessageSid": "SM1"}
        status, told = await twilio(client, said)
        assert (status, told) == (200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>')
        assert await granted(client, "ann") == {"sms": False, "email": True}
        assert await last_source(client, "ann") == "sms:stop"
        (fact,) = (await client.ok("GET", "/v1/people/ann"))["facts"]
        assert (fact["kind"], fact["data"]) == ("opted_out", {"lever": "sms", "source": "sms"})


async def test_who_is_not_twilio_stops_nobody(tmp_path: Path) -> None:
    async with served(tmp_path, PUBLIC, environ={TOKEN_VARIABLE: TOKEN}) as client:
        await subscribe(client, "ann", phone=PHONE)
        status, _ = await twilio(client, {"From": PHONE, "Body": "STOP"}, "a guess of theirs")
        assert status == 403
        assert (await client.call("POST", "/in/sms/twilio", b"From=x&Body=STOP"))[0] == 403
        assert (await granted(client, "ann"))["sms"]


async def test_without_a_token_the_door_of_twilio_is_not_there(tmp_path: Path) -> None:
    async with served(tmp_path, PUBLIC) as client:
        assert (await twilio(client, {"From": PHONE, "Body": "STOP"}))[0] == 404


async def test_start_takes_off_the_list_and_gives_no_consent_back(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE)
        said = {"sender": PHONE, "text": "stop"}
        assert await client.ok("POST", "/in/sms/inbound", said) == {
            "meaning": "stop",
            "withdrawn": 1,
        }
        assert len((await client.ok("GET", "/v1/suppressions"))["stops"]) == 1
        told = await client.ok("POST", "/in/sms/inbound", said | {"text": "START"})
        assert told["meaning"] == "start"
        assert (await client.ok("GET", "/v1/suppressions"))["stops"] == []
        assert not (await granted(client, "ann"))["sms"]


async def test_what_is_neither_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE)
        for sender, text in ((PHONE, "when do you open?"), ("BANK", "STOP"), (PHONE, "")):
            said = {"sender": sender, "text": text}
            assert (await client.ok("POST", "/in/sms/inbound", said))["meaning"] == ""
        assert (await granted(client, "ann"))["sms"]
        app = client.using("app")
        said = {"sender": PHONE, "text": "STOP"}
        assert (await app.call("POST", "/in/sms/inbound", said))[0] == 403


async def test_a_word_of_the_operators_language_stops_too(tmp_path: Path) -> None:
    spanish = CATALOGUE.replace("assumed", "assumed, stop_words: [BAJA]")
    async with served(tmp_path, spanish) as client:
        await subscribe(client, "ann", phone=PHONE)
        said = {"sender": PHONE, "text": "baja por favor"}
        assert (await client.ok("POST", "/in/sms/inbound", said))["withdrawn"] == 1


async def test_brevo_tells_of_who_opted_out_with_a_server_key(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE)
        said = {"to": "33612345678", "msg_status": "unsubscribed", "id": 7}
        assert (await client.using("app").call("POST", "/in/sms/brevo", said))[0] == 403
        assert (await client.call("POST", "/in/sms/brevo", {"to": 3}))[0] == 400
        assert (await client.call("POST", "/in/sms/brevo", said))[0] == 200
        assert not (await granted(client, "ann"))["sms"]


async def test_everybody_with_that_number_hears_no_more(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for person_id in ("ann", "bob"):
            await subscribe(client, person_id, phone=PHONE)
        await subscribe(client, "cyd", phone="+33600000000")
        said = {"sender": "0033 6 12 34 56 78", "text": "STOP"}
        assert (await client.ok("POST", "/in/sms/inbound", said))["withdrawn"] == 2
        assert [(await granted(client, who))["sms"] for who in ("ann", "bob", "cyd")] == [
            False,
            False,
            True,
        ]


async def test_who_gave_the_number_up_is_not_who_said_stop(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE)
        await client.ok("PUT", "/v1/people/ann", {"phone": "+33600000001"})
        said = {"sender": PHONE, "text": "STOP"}
        assert (await client.ok("POST", "/in/sms/inbound", said))["withdrawn"] == 0
        assert (await granted(client, "ann"))["sms"]


async def test_a_device_that_became_a_persons_is_found_by_its_number(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "phone-1", phone=PHONE)
        await client.ok("PUT", "/v1/devices/phone-1", {"person_id": "ann"})
        said = {"sender": PHONE, "text": "STOP"}
        assert (await client.ok("POST", "/in/sms/inbound", said))["withdrawn"] == 1
        assert not (await granted(client, "ann"))["sms"]


async def test_only_a_post_unsubscribes_and_the_link_names_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", email=EMAIL)
        marks = await client.service.context.suppression.marks()
        link = marks.link("email", marks.address("email", " Ann@Example.org"))
        raw = urlsafe_b64decode(link)
        assert b"ann" not in raw.lower() and b"example" not in raw.lower()
        anybody = client.using(None)
        status, page, headers = await anybody.call("GET", f"/u/{link}")
        assert (status, page.count(b"<button")) == (200, 1)
        assert headers["Content-Type"].startswith("text/html")
        assert (await granted(client, "ann"))["email"], "a scanner that looks opts nobody out"
        body = b"List-Unsubscribe=One-Click"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await anybody.call("POST", f"/u/{link}", body, kind))[0] == 200
        assert await granted(client, "ann") == {"sms": True, "email": False}
        assert await last_source(client, "ann") == "email:one_click"
        assert (await anybody.call("POST", f"/u/{link}", body, kind))[0] == 200, "said twice"


async def test_a_link_that_is_not_ours_does_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        marks = await client.service.context.suppression.marks()
        link = marks.link("email", marks.address("email", EMAIL))
        last = "A" if link[-5] != "A" else "B"
        for forged in (link[:-5] + last + link[-4:], link[:-1], "x", "%C3%A9", "A" * 44):
            for method in ("GET", "POST"):
                assert (await client.using(None).call(method, f"/u/{forged}"))[0] == 404, forged
        assert (await client.ok("GET", "/v1/suppressions"))["stops"] == []


async def test_the_list_outlives_the_person_and_a_new_consent(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE)
        await client.ok("POST", "/in/sms/inbound", {"sender": PHONE, "text": "STOP"})
        await client.ok("DELETE", "/v1/people/ann")
        await subscribe(client, "ann", phone=PHONE)
        assert await client.service.context.suppression.is_stopped("sms", PHONE)
        (stop,) = (await client.ok("GET", "/v1/suppressions"))["stops"]
        assert (stop["lever"], stop["source"]) == ("sms", "sms:stop")
        assert PHONE[1:] not in json.dumps(stop)


async def test_the_command_keeps_the_list_of_a_running_service(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await subscribe(client, "ann", phone=PHONE, email=EMAIL)
        file = tmp_path / "stops.csv"
        file.write_text(f"address,since\n{EMAIL},2026\n\n+33600000009,2025\n", "utf-8")
        base = ["suppress", "--url", client.url, "--key", KEYS["server"]]

        async def run(*more: str) -> str:
            done = await asyncio.to_thread(CliRunner().invoke, main, [*base, *more])
            assert done.exit_code == 0, done.output
            return done.output

        assert "1 consents ended" in await run("add", PHONE)
        told = await run("import", str(file))
        assert "1 sms addresses" in told and "1 email addresses; 1 consents" in told
        assert await granted(client, "ann") == {"sms": False, "email": False}
        assert len((await run("list")).splitlines()) == 3
        assert "1 of 1 sms" in await run("remove", PHONE)
        assert len((await run("list", "--json")).splitlines()) == 2


def test_the_command_keeps_the_list_of_a_state_that_nobody_serves(tmp_path: Path) -> None:
    written(tmp_path / "config", CATALOGUE + f"  state: local:{tmp_path / 'state.db'}\n")
    (tmp_path / "state.db").touch()
    base = ["suppress", "--config", str(tmp_path / "config")]
    for more, expected in (
        (["add", PHONE, EMAIL], "1 email addresses"),
        (["list"], "sms"),
        (["remove", EMAIL], "1 of 1 email"),
        (["list"], "suppressed:operator"),
    ):
        done = CliRunner().invoke(main, [*base, *more])
        assert done.exit_code == 0, done.output
        assert expected in done.output
    done = CliRunner().invoke(main, [*base, "add", "nobody"])
    assert done.exit_code == 1
    assert "expected a phone number or an e-mail address" in done.output


async def test_whatever_is_posted_to_the_doors_of_providers_nothing_breaks(tmp_path: Path) -> None:
    rng = random.Random(20_261_122)
    url = "https://geo.example.com/in/sms/twilio"
    async with served(tmp_path, PUBLIC, environ={TOKEN_VARIABLE: TOKEN}) as client:
        for _ in range(150):
            body = rng.choice(
                [
                    rng.randbytes(rng.randrange(400)),
                    b"From=" + rng.randbytes(20) + b"&Body=STOP",
                    b"&".join(b"a=%d" % n for n in range(rng.randrange(400))),
                    b'{"to": "' + rng.randbytes(9).hex().encode() + b'", "msg_status": 3}',
                    b"[" * rng.randrange(2_000),
                ]
            )
            signed = {"X-Twilio-Signature": signature(TOKEN, url, params_of(body))}
            for path, shown in (("/in/sms/twilio", signed), ("/in/sms/brevo", {})):
                status, _, _ = await client.call("POST", path, body, shown)
                assert status in (200, 400, 403), (path, body)
        assert (await client.call("POST", "/in/sms/twilio", b"x" * 70_000, signed))[0] == 413


async def test_what_is_no_address_of_the_lever_gets_onto_no_list(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for lever, address in (
            ("sms", "06 12 34 56 78"),  # of which country?
            ("sms", "33612345678"),
            ("sms", "ann@example.org"),
            ("email", "+33612345678"),
            ("email", "ann example.org"),
        ):
            body = {"lever": lever, "addresses": ["+33600000001", address][lever == "email" :]}
            for method in ("POST", "DELETE"):
                status, problem, _ = await client.call(method, "/v1/suppressions", body)
                assert status == 400, (lever, address)
                assert "expected " in problem["detail"]
                assert f"$.addresses[{len(body['addresses']) - 1}]" in problem["detail"]
        assert (await client.ok("GET", "/v1/suppressions"))["stops"] == []
