"""What Google says of passes: believed by its signature, once, in its order; a deletion is a no."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from geoengine.service.wallet import holding
from geoengine.service.wallet.telling import GOOGLE_PATH, Wallets
from tests.levers.wallet.google_double import WalletDouble, google_wallet
from tests.levers.wallet.google_signer import DAY_MS, ISSUER, Signer, a_key, google_signer
from tests.service.serving import CATALOGUE, Client, served, walk_in
from tests.service.test_native_fuzz import ROUNDS, SEED, spoiled

PASSES = (
    CATALOGUE.replace("levers: [log]", "levers: [wallet]")
    + """
  public_url: https://geo.example.com
  lawful_hours: {}
  wallet:
    organization: Maison Rivoli
    description: The club's card
    google: {issuer: "3388000000022"}
"""
)


@dataclass
class Shop:
    """A service, Google's side of it, and somebody's pass."""

    client: Client
    google: WalletDouble
    signer: Signer
    serial: str = ""

    async def say(self, body: bytes) -> tuple[int, Any]:
        """Post what Google would; status and answer."""
        status, told, _ = await self.client.using(None).call("POST", GOOGLE_PATH, body)
        return status, told

    async def says(self, event: str, **changes: Any) -> None:
        """Post what Google says; it must be taken."""
        assert (await self.say(self.signer.message(event, self.serial, **changes)))[0] == 200

    async def is_held(self) -> bool:
        """Whether the record says that a wallet has the pass."""
        person = await self.client.ok("GET", "/v1/people/ada")
        return "wallet" in person["addresses"]

    async def agrees(self) -> bool:
        """Whether the consent stands."""
        told = (await self.client.ok("GET", "/v1/people/ada/consents"))["consents"]
        return bool(told["wallet"]["granted"])


@asynccontextmanager
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A service with a pass of somebody who agreed to messages on it."""
    now_ms = round(time.time() * 1_000)
    async with google_wallet() as google, google_signer(now_ms) as signer:
        environ = {
            "GEOENGINE_GOOGLE_WALLET_URL": google.url,
            "GEOENGINE_GOOGLE_WALLET_ACCOUNT": google.file,
            "GEOENGINE_GOOGLE_WALLET_KEYS_URL": signer.url,
        }
        async with served(tmp_path, PASSES, environ=environ) as client:
            await client.ok("PUT", "/v1/people/ada/pass")
            await client.ok("PUT", "/v1/people/ada/consents/wallet")
            keys = await holding.keys_of(client.service.context.state)
            yield Shop(client, google, signer, keys.serial("ada"))


async def test_a_save_notes_the_pass_and_a_deletion_is_a_withdrawal_before_the_answer(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as at:
        assert not await at.is_held()
        await at.says("save")
        assert await at.is_held() and await at.agrees()
        await at.says("del", expTimeMillis=at.signer.now_ms + 3_700_000)
        assert not await at.is_held() and not await at.agrees()
        entries = (await at.client.ok("GET", "/v1/people/ada/consents"))["entries"]
        assert entries[-1]["source"] == "wallet:removed"
        await at.client.ok("POST", "/v1/pings", walk_in("ada"))
        decided = (await at.client.ok("GET", "/v1/people/ada/decisions"))["decisions"]
        assert [one["reason"] for one in decided] == ["no_consent:wallet"]
        assert not at.google.messages


def said_in(body: bytes) -> str:
    """What is signed of a message."""
    return str(json.loads(body)["signedMessage"])


FORGERIES: dict[str, Any] = {
    "another root": lambda s: setattr(s, "root", a_key()),
    "a sender of payments": lambda s: setattr(s, "sender", "Google"),
    "for another issuer": lambda s: setattr(s, "recipient", ISSUER + "1"),
    "of another protocol": lambda s: setattr(s, "protocol", "ECv2"),
    "by a key that has expired": lambda s: setattr(s, "intermediate_until_ms", s.now_ms - 1),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_what_google_did_not_sign_for_us_and_now_is_refused(
    tmp_path: Path, name: str
) -> None:
    async with shop(tmp_path) as at:
        await at.says("save")
        FORGERIES[name](at.signer)
        at.signer.fault = 503  # or another root would be Google's new one
        status, told = await at.say(at.signer.message("del", at.serial))
        assert (status, told["type"]) == (403, "urn:geoengine:problem:forbidden"), told
        assert await at.is_held() and await at.agrees()


async def test_a_message_that_was_changed_is_refused(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        await at.says("save")
        body = at.signer.message("save", at.serial)
        assert (await at.say(body.replace(b"save", b"del")))[0] == 403
        late = at.signer.message("del", at.serial, expTimeMillis=at.signer.now_ms - 1)
        assert (await at.say(late))[0] == 403
        nameless = at.signer.message("del", at.serial, nonce="")
        assert (await at.say(nameless))[0] == 403
        for odd in (b"", b"{}", b"[" * 5_000, b"\xff", at.signer.sealed("[]")):
            assert (await at.say(odd))[0] == 403, odd[:20]
        assert (await at.say(b"x" * 70_000))[0] == 413
        assert await at.agrees()


async def test_a_root_key_past_its_end_vouches_for_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        at.signer.root_until_ms = at.signer.now_ms - 1
        assert (await at.say(at.signer.message("save", at.serial)))[0] == 403
        assert not await at.is_held()


async def test_what_was_heard_once_is_not_acted_upon_again(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        await at.says("save")
        gone = at.signer.message("del", at.serial, expTimeMillis=at.signer.now_ms + 3_700_000)
        assert (await at.say(gone))[0] == 200
        await at.says("save", expTimeMillis=at.signer.now_ms + 3_800_000)
        await at.client.ok("PUT", "/v1/people/ada/consents/wallet")
        assert (await at.say(gone))[0] == 200  # so that Google stops saying it
        assert await at.is_held() and await at.agrees()


async def test_a_save_that_comes_after_a_later_deletion_changes_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        early = at.signer.message("save", at.serial)
        await at.says("del", expTimeMillis=at.signer.now_ms + 3_700_000)
        assert (await at.say(early))[0] == 200
        assert not await at.is_held() and not await at.agrees()


async def test_a_deletion_that_comes_late_ends_the_consent_and_not_the_pass_saved_since(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as at:
        gone = at.signer.message("del", at.serial)
        await at.says("save", expTimeMillis=at.signer.now_ms + 3_700_000)
        assert (await at.say(gone))[0] == 200
        assert await at.is_held() and not await at.agrees()


async def test_of_other_classes_objects_and_people_who_are_gone_nothing_is_known(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as at:
        for changes in (
            {"classId": f"{ISSUER}.other"},
            {"objectId": f"{ISSUER}.0123"},
            {"objectId": "elsewhere.0123"},
            {"eventType": "activate", "objectIds": [f"{ISSUER}.{at.serial}"]},
        ):
            await at.says("save", **changes)
            assert not await at.is_held()
        await at.client.ok("DELETE", "/v1/people/ada")
        await at.says("save")
        assert (await at.client.call("GET", "/v1/people/ada"))[0] == 404


async def test_keys_are_asked_for_once_and_anew_when_google_signs_with_another(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as at:
        at.signer.fault = 503
        status, told = await at.say(at.signer.message("save", at.serial))
        assert (status, at.signer.ask_count) == (503, 1), told
        at.signer.fault = 0
        clock = at.client.service.context.clock
        at.client.service.context.clock = lambda: clock() + 61_000
        await at.says("save")
        await at.says("save")
        assert at.signer.ask_count == 2
        at.signer.root = a_key()
        gone = at.signer.message("del", at.serial, expTimeMillis=at.signer.now_ms + 3_700_000)
        assert (await at.say(gone))[0] == 403  # not more than once a minute
        at.client.service.context.clock = lambda: clock() + 2 * 61_000
        assert (await at.say(gone))[0] == 200
        assert at.signer.ask_count == 3 and not await at.agrees()


async def test_keys_outlive_their_time_where_google_cannot_be_asked(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        at.signer.max_age_s = None
        await at.says("save")
        at.signer.fault = 500
        clock = at.client.service.context.clock
        at.client.service.context.clock = lambda: clock() + 2 * 3_600_000
        await at.says("del", expTimeMillis=at.signer.now_ms + DAY_MS)
        assert at.signer.ask_count == 2 and not await at.agrees()


async def test_the_class_is_told_once_where_to_call(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        name, context = f"{ISSUER}.club", at.client.service.context
        wallets = Wallets(context)
        await wallets.look()
        assert at.google.classes == {}  # nobody has made it yet
        at.google.classes[name] = {"id": name}
        await wallets.look()
        assert "callbackOptions" not in at.google.classes[name]  # some minutes later
        await Wallets(context).look()
        url = "https://geo.example.com/in/wallet/google"
        assert at.google.classes[name]["callbackOptions"] == {"url": url}
        at.google.classes[name] = {"id": name}
        await Wallets(context).look()
        assert "callbackOptions" not in at.google.classes[name]  # an operator's own change stands


async def test_a_spoiled_message_is_refused_and_never_a_fault(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with shop(tmp_path) as at:
        await at.says("save", expTimeMillis=at.signer.now_ms + 3_700_000)
        at.signer.fault = 503
        gone = at.signer.message("del", at.serial, expTimeMillis=at.signer.now_ms + 3_800_000)
        has_ended = False
        for _ in range(ROUNDS):
            body = spoiled(gone, rng)
            status, told = await at.say(body)
            if status != 403:  # spoiled where it says nothing: a space, a field of no use
                assert (status, said_in(body)) == (200, said_in(gone)), (body, told)
                has_ended = True
        assert await at.agrees() is not has_ended
        page = at.client.service.context.metrics.own_page().decode()
        assert "geoengine_failures_total{" not in page


async def test_where_no_passes_are_googles_nobody_is_heard(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        assert (await client.using(None).call("POST", GOOGLE_PATH, b"{}"))[0] == 404
