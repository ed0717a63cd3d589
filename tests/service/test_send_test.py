"""A test message: every question of a trigger is asked, told, and cannot be overruled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from geoengine.core.consent import people
from geoengine.core.model import EngineSpec
from geoengine.core.record import Record, Send
from geoengine.core.units import HOUR_MS
from geoengine.levers.base import Receipt
from geoengine.service.sending.preparing import Prepared
from geoengine.service.sending.trials import Asked, Trial, Trials
from geoengine.state.base import Change, Commit
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, World, a_store
from tests.levers.receivers import receiving, says
from tests.levers.sending import SECRET
from tests.service.dispatching import DELIVERED, a_post
from tests.service.serving import CATALOGUE, served
from tests.service.test_dispatcher_preparing import Reads

ALWAYS = EngineSpec(lawful_hours={"sms": "24/7"})
NUMBER = "+33612345678"


def ada(**changes: Any) -> Record:
    """Somebody who agreed to SMS and has a number."""
    record = Record("ada", addresses={"sms": NUMBER})
    for purpose in ("location", "sms"):
        people.grant(record, purpose, {}, NOON_MS)
    for name, value in changes.items():
        setattr(record, name, value)
    return record


class Stops:
    """A preparer that stops everybody."""

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Say so."""
        return Prepared(send, "suppressed:sms")


@asynccontextmanager
async def some_trials(
    record: Record | None, engine: EngineSpec = ALWAYS, **options: Any
) -> AsyncIterator[tuple[Trials, Reads]]:
    """A trials over a state that knows this person, and the lever that it pulls."""
    book, state = World([a_store()], engine=engine).book(), LocalState(None)
    await state.open()
    if record is not None:
        await state.commit(Commit("ada", changes=(Change(record, None),)))
    lever = Reads(options.get("receipt", DELIVERED), name="sms")
    levers = {} if options.get("has_no_sender") else {"sms": lever}
    ready = options.get("preparers", ())
    yield Trials(state, lambda: book, lambda: levers, ready, lambda: NOON_MS), lever
    await state.close()


async def trial(record: Record | None, **options: Any) -> tuple[Trial, list[str]]:
    """What the test of an SMS to Ada says, and where something was sent."""
    async with some_trials(record, **options) as (trials, lever):
        told = await trials.directly(Asked("ada", "sms"))
    return told, lever.addresses


def why_not(told: Trial) -> list[str]:
    """What stands against it."""
    return [check.why_not for check in told.checks if check.why_not]


async def test_a_message_that_nothing_stands_against_is_sent_and_told_step_by_step():
    told, addresses = await trial(ada())
    assert (told.status, why_not(told), addresses) == ("delivered", [], [NUMBER])
    assert [check.what for check in told.checks] == [
        "a sender for the lever",
        "the person is known",
        "consent to location",
        "consent to sms",
        "an address",
        "age, pause, lawful and quiet hours",
        "no STOP, and ready to leave",
    ]


async def test_what_the_lever_answers_is_told():
    told, _ = await trial(ada(), receipt=Receipt("refused", "bad_address", detail="no number"))
    assert (told.status, told.reason) == ("refused", "bad_address (no number)")


async def test_each_thing_that_would_stop_a_trigger_stops_it_and_is_named():
    withdrawn = ada()
    people.withdraw(withdrawn, "sms", {}, World([a_store()]).book(), NOON_MS)
    nights = EngineSpec(lawful_hours={"sms": "Mo-Su 01:00-02:00"})
    for record, options, reason in (
        (None, {}, "unknown_person"),
        (withdrawn, {}, "no_consent:sms"),
        (ada(addresses={}), {}, "no_address"),
        (ada(), {"has_no_sender": True}, "no_sender:sms"),
        (ada(paused_until_ms=NOON_MS + HOUR_MS), {}, "paused"),
        (ada(is_minor=True), {}, "minor"),
        (ada(), {"engine": nights}, "lawful_hours:sms"),
        (ada(quiet_hours="Mo-Su 00:00-24:00"), {}, "quiet_hours"),
        (ada(), {"preparers": [Stops()]}, "suppressed:sms"),
    ):
        told, addresses = await trial(record, **options)
        assert reason in why_not(told)
        assert (told.status, addresses) == ("", [])


async def test_by_the_outbox_it_is_marked_and_is_no_trigger_to_anybody():
    async with a_post([Reads(name="sms")]) as post:
        await post.state.commit(Commit("ada2", changes=(Change(await known(post.state), None),)))
        trials = Trials(
            post.state,
            lambda: World([a_store()], engine=ALWAYS).book(),
            lambda: {"sms": Reads(name="sms")},
            (),
            post.clock,
        )
        testing = asyncio.create_task(trials.by_outbox(Asked("ada", "sms", "hello"), heard_s=0.05))
        told = await testing
        assert told.status == "pending"
        await post.dispatcher.step()
        [row] = (await post.rows()).values()
        assert (row.status, row.send.kind) == ("delivered", "test")
        assert row.send.event["data"]["message"]["body"] == "[TEST] hello"
        assert row.send.event["type"] == "geoengine.test.message"
        assert await post.state.facts("ada") == []
    assert (post.events, post.unsent) == ([], [])


async def test_what_another_process_sent_is_read_from_the_state():
    lever = Reads(name="sms")
    async with a_post([lever]) as post:
        await post.state.commit(Commit("ada2", changes=(Change(await known(post.state), None),)))
        book = World([a_store()], engine=ALWAYS).book()
        # Its dispatcher tells these trials nothing, as one elsewhere.
        trials = Trials(post.state, lambda: book, lambda: {"sms": lever}, (), post.clock)
        running = asyncio.create_task(post.dispatcher.run())
        told = await trials.by_outbox(Asked("ada", "sms"))
        await post.dispatcher.stop(1.0)
        await running
    assert told.status == "delivered"


async def known(state: LocalState) -> Record:
    """Ada as the state has her, with a number and a consent to SMS."""
    record = (await state.load(["ada"]))["ada"]
    record.addresses["sms"] = NUMBER
    people.grant(record, "sms", {}, NOON_MS)
    return record


async def test_a_withdrawal_after_the_questions_stops_it_on_its_way():
    lever = Reads(name="sms")
    async with a_post([lever]) as post:
        await post.state.commit(Commit("ada2", changes=(Change(await known(post.state), None),)))
        book = World([a_store()], engine=ALWAYS).book()
        trials = Trials(post.state, lambda: book, lambda: {"sms": lever}, (), post.clock)
        await trials.by_outbox(Asked("ada", "sms"), heard_s=0.0)
        await post.consent("ada", "sms", False)
        await post.dispatcher.step()
        [(status, reason)] = (await post.ends()).values()
    assert (status, reason) == ("refused", "consent_withdrawn:sms")
    assert lever.addresses == []


async def test_a_running_service_sends_it_and_tells_what_became_of_it(tmp_path: Path):
    async with receiving(says(200)) as receiver:
        hook = f'  webhook: {{url: "{receiver.url}", allow_private: true}}\n'
        environ = {"GEOENGINE_WEBHOOK_SECRET": SECRET}
        async with served(tmp_path, CATALOGUE + hook, environ=environ) as client:
            await client.ok("PUT", "/v1/people/ada", {"attributes": {"status": "premium"}})
            asked = {"person_id": "ada", "lever": "webhook", "message": "hello"}
            told = await client.ok("POST", "/v1/send-tests", asked)
            assert (told["status"], {check["why_not"] for check in told["checks"]}) == (
                "delivered",
                {""},
            )
            assert receiver.ids == [told["send_id"]]
            told = await client.ok("POST", "/v1/send-tests", asked | {"lever": "sms"})
            assert told["status"] == ""
            assert "no_sender:sms" in {check["why_not"] for check in told["checks"]}
            for key in ("app", "gateway"):
                status, _, _ = await client.using(key).call("POST", "/v1/send-tests", asked)
                assert status == 403
