"""What is kept is kept as long as is configured, and no longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geoengine.core.units import DAY_MS
from geoengine.service.consent.keeping import trim
from geoengine.service.context import Context
from tests.service.serving import CATALOGUE, served, until, walk_in

SAYS = '    message: {en: "Five minutes to {store}."}\n  - id: text'
TELLING = CATALOGUE.replace(
    SAYS,
    '    message: {en: "{code} {directions}"}\n    track_clicks: true\n'
    "    coupon: {kind: unique, valid: 24h}\n  - id: text",
).replace("engine:\n", "engine:\n  public_url: https://geo.example.com\n")


async def kept(context: Context) -> set[str]:
    """What there is of a message."""
    state = context.state
    found = {name for name in ("link", "coupon") if (await state.cards_from(f"{name}/")).cards}
    found |= {"message" for row in await state.sends() if row.settled_ms is not None}
    return found | ({"decisions"} if await state.decisions("phone") else set())


async def test_each_kind_goes_when_its_own_time_is_over(tmp_path: Path):
    ages = "  retention: {messages: 4d, links: 2d, codes: 9d}\n  decisions_kept: 6d\n"
    async with served(tmp_path, TELLING + ages) as client:
        context = client.service.context
        await client.ok("POST", "/v1/pings", walk_in("phone"))

        async def is_all_there() -> bool:
            return len(await kept(context)) == 4

        await until(is_all_there)
        now_ms, left = context.clock(), {}
        for days in (1, 3, 5, 7, 9, 11):
            await trim(replace(context, clock=lambda at=now_ms + days * DAY_MS: at))
            left[days] = await kept(context)
    assert left == {
        1: {"link", "message", "decisions", "coupon"},
        3: {"message", "decisions", "coupon"},
        5: {"decisions", "coupon"},
        7: {"coupon"},
        9: {"coupon"},  # it ended a day after it was given
        11: set(),
    }
