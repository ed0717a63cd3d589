"""The button that leads to somebody's own pass: made as the message leaves, always the same."""

from __future__ import annotations

from geoengine.core.model import EngineSpec, WalletSpec
from geoengine.core.record import Record, Send
from geoengine.service.wallet import holding
from geoengine.service.wallet.linking import PassLinker
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, World

ENGINE = EngineSpec(
    public_url="https://geo.example.com/",
    wallet=WalletSpec(organization="Maison", description="The club's pass"),
)


def a_send(kind: str) -> Send:
    event = {"data": {"call_to_action": {"kind": kind, "url": ""}}}
    return Send("s1", "trigger", "ada", "push", NOON_MS, NOON_MS + 1, NOON_MS, event)


async def test_the_button_leads_to_the_persons_own_pass_and_again_to_the_same():
    state, book = LocalState(None), World(engine=ENGINE).book()
    await state.open()
    linker, ada = PassLinker(state, lambda: book), Record("ada")
    send, why_not = await linker.prepare(a_send("pass"), ada, NOON_MS)
    again, _ = await linker.prepare(a_send("pass"), ada, NOON_MS + 60_000)
    url = send.event["data"]["call_to_action"]["url"]
    assert (why_not, again.event) == ("", send.event)
    serial = (await holding.keys_of(state)).opened(url.removeprefix("https://geo.example.com/p/"))
    held = await holding.held(state, serial)
    assert held is not None and held.person_id == "ada"
    assert "ada" not in url
    await state.close()


async def test_other_buttons_lead_where_they_led():
    state, book = LocalState(None), World(engine=ENGINE).book()
    await state.open()
    send = a_send("web")
    assert (await PassLinker(state, lambda: book).prepare(send, Record("ada"), 0)).send is send
    assert (await state.cards_from("pass/")).cards == []
    await state.close()
