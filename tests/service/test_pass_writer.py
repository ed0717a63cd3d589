"""What a trigger writes on a pass: once, and no more often than Google shows notices."""

from __future__ import annotations

from pathlib import Path

from geoengine.catalog import read
from geoengine.core.record import Record, Send
from geoengine.core.units import HOUR_MS
from geoengine.service.sending.preparing import Prepared
from geoengine.service.wallet import holding
from geoengine.service.wallet.preparing import NO_PASS, QUOTA, PassWriter
from geoengine.state import open_state
from tests.service.serving import written

NOW_MS = 1_795_000_000_000


def send(nth: int) -> Send:
    said = {"message": {"locale": "en", "title": "", "body": f"Number {nth}"}}
    return Send(
        f"send-{nth}", "trigger", "ada", "wallet", NOW_MS, NOW_MS + HOUR_MS, NOW_MS,
        {"data": said}, store_id="rivoli", address="google:aa", trigger_id=f"trigger-{nth}",
    )  # fmt: skip


async def test_google_is_asked_for_three_notices_a_day_and_a_try_again_is_none(
    tmp_path: Path,
) -> None:
    book = read(written(tmp_path / "config")).book
    state = open_state(f"local:{tmp_path / 'state.db'}")
    await state.open()
    try:
        writer, record = PassWriter(state, lambda: book), Record("ada")
        assert await writer.prepare(send(0), record, NOW_MS) == Prepared(send(0), NO_PASS)
        record.addresses["wallet"] = "google:aa"
        await holding.hand_out(state, "aa", "ada", NOW_MS)
        reasons = [
            (await writer.prepare(send(nth), record, NOW_MS + nth)).why_not
            for nth in (1, 2, 2, 3, 4, 4)
        ]
        assert reasons == ["", "", "", "", QUOTA, QUOTA]
        one = await holding.held(state, "aa")
        assert one is not None and one.body == "Number 3"
        later_ms = NOW_MS + 24 * HOUR_MS + 10
        assert (await writer.prepare(send(5), record, later_ms)).why_not == ""
    finally:
        await state.close()
