"""`geoengine coupons`, on a state that nobody serves and on a service that does."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.cli.asking.coupons import command
from geoengine.core.offers.redeeming import Issued
from geoengine.service.coupons.vouchers import sealed
from geoengine.service.heritage import COUPON_KEY
from geoengine.state.local import LocalState
from tests.service.serving import KEYS, Client, now_s, served

SECRET = b"a secret of thirty-two bytes 123"


@pytest.fixture
def state_url(tmp_path: Path) -> str:
    """A state that a service has used before."""
    path = tmp_path / "state.db"

    async def make() -> None:
        state = LocalState(path)
        await state.open()
        await state.note(COUPON_KEY, SECRET)
        await state.close()

    asyncio.run(make())
    return f"local:{path}"


def run(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(command, words, input=given)


def test_a_file_of_codes_is_uploaded_and_can_be_again(state_url: str, tmp_path: Path):
    file = tmp_path / "codes.csv"
    file.write_text("SUN-1,2026\n\nSUN-2;x\n", "utf-8-sig")
    told = run("--state", state_url, "upload", "summer", str(file))
    assert told.output == "summer: 2 added, 0 known already, 2 left to give\n", told.output
    told = run("--state", state_url, "upload", "summer", "-", given="sun1\nSUN-3\n")
    assert told.output == "summer: 1 added, 1 known already, 3 left to give\n"
    assert run("--state", state_url, "pools").output == "summer  3 of 3 left\n"


def test_what_is_no_code_is_named(state_url: str):
    told = run("--state", state_url, "upload", "summer", "-", given="SUN-1\na b c d e\n")
    assert told.exit_code == 1
    assert "1 added" in told.output and "'a b c d e'" in told.output
    assert run("--state", state_url, "upload", "summer", "-", given="\n").exit_code == 1


def test_a_spreadsheets_heading_and_quotes_are_no_codes(state_url: str):
    sheet = 'Coupon Code;until\n"SUN-1";x\n"QUO,TED";y\ncode\n'
    told = run("--state", state_url, "upload", "summer", "-", given=sheet)
    assert told.output.splitlines() == [
        "summer: 2 added, 0 known already, 2 left to give",
        "Error: no codes: 'QUO,TED'; expected 3 to 64 letters, digits and _ * + : $ -",
    ]


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(state_url: str, tmp_path: Path):
    file = tmp_path / "codes.csv"
    file.write_bytes("SUN-1\nÉTÉ\n".encode("latin-1"))
    told = run("--state", state_url, "upload", "summer", str(file))
    assert told.exit_code == 1 and told.output.startswith("Error: line 2: expected text in UTF-8")
    assert run("--state", state_url, "pools", "--json").output == ""


@pytest.mark.parametrize("option", ["--public-key", "--check-key"])
@pytest.mark.parametrize("key", ["rubbish!!", "A" * 120, "é", "A" * 27])
def test_a_key_that_is_none_is_no_verdict_on_the_code(option: str, key: str):
    told = run("check", "AAAABBBBCCCC", option, key)
    assert (told.exit_code, told.output) == (
        1,
        "Error: the key is not what `coupons key` prints for such codes\n",
    )


def test_a_till_checks_without_asking(state_url: str):
    lines = run("--state", state_url, "key").output.splitlines()
    public, check = (line.rpartition(" ")[2] for line in lines)
    assert len(urlsafe_b64decode(public + "=")) == 32
    until_ms = round(now_s() + 3_600) * 1_000
    issued = Issued("ABC", "unique", "tea", "t", "rivoli", "store", 0, until_ms)
    voucher = sealed(issued, SECRET)
    good = run("check", voucher, "--public-key", public, "--store", "rivoli")
    assert (good.exit_code, good.output) == (0, "ABC of tea\n")
    wrong = run("check", voucher, "--public-key", public, "--store", "bastille")
    assert wrong.exit_code == 1 and "coupon_wrong_store" in wrong.output
    assert run("check", voucher[:-3] + "AAA", "--public-key", public).exit_code == 1
    assert run("check", "AAAABBBBCCCC", "--check-key", check).exit_code == 1
    assert run("check", "AAAABBBBCCCC").exit_code == 2


async def test_a_running_service_is_asked(tmp_path: Path):
    async with served(tmp_path) as client:
        told = await asyncio.to_thread(_by_service, client)
        assert told == "summer: 2 added, 0 known already, 2 left to give\n"
        assert (await client.ok("GET", "/v1/pools/summer"))["left"] == 2


def _by_service(client: Client) -> str:
    where = ("--url", client.url, "--key", KEYS["server"])
    return run(*where, "upload", "summer", "-", given="SUN-1\nSUN-2\n").output
