"""Messages whose button leads to their person's own pass: it is made when the message leaves."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from geoengine.core.book import Book
from geoengine.core.record import Record, Send
from geoengine.service.routes.offering.passkit import LINK
from geoengine.service.sending.preparing import Prepared
from geoengine.service.wallet import holding
from geoengine.state.base import State

KIND = "pass"


class PassLinker:
    """Puts the link to a person's pass behind the button, the same whenever it is tried again."""

    def __init__(self, state: State, book_of: Callable[[], Book]) -> None:
        self._state = state
        self._book_of = book_of

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """The message with the link; unchanged where the button leads elsewhere."""
        data = send.event.get("data") or {}
        action, engine = data.get("call_to_action") or {}, self._book_of().engine.spec
        is_ours = send.kind == "trigger" and action.get("kind") == KIND
        if not is_ours or engine.wallet is None or engine.public_url is None:
            return Prepared(send)
        keys = await holding.keys_of(self._state)
        serial, _ = await holding.pass_of(self._state, keys, record, now_ms)
        url = engine.public_url.rstrip("/") + LINK + keys.link(serial)
        said = {**data, "call_to_action": {"kind": KIND, "url": url}}
        return Prepared(replace(send, event={**send.event, "data": said}))
