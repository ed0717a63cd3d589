"""Each client's own word for "I have it", and what else some of them take from an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from geoengine.ingest.clients.pushing import (
    REGIONS_MAX,
    bgeo_answer,
    owntracks_answer,
    platform_of,
)
from geoengine.ingest.reports import Origin, Position
from geoengine.service.context import Answer, Context
from geoengine.service.native.advising import News
from geoengine.service.routes.arriving.regions import ready

TEXT: Final = "text/plain"
OVERLAND_DONE: Final = Answer(b'{"result":"ok"}')
DONE: Final[dict[str, Answer]] = {
    "owntracks": Answer(b"[]"),
    "overland": OVERLAND_DONE,
    "osmand": Answer(b"", content_type=TEXT),
    "bgeo": Answer(b"{}"),
    "gpslogger": Answer(b"OK", content_type=TEXT),
}
GATEWAY_DONE: Final = Answer(b"{}")
GREETING: Final = Answer(b'{"name":"geoengine","result":"ok"}')  # Overland asks whom it talks to
_BGEO_REGIONS: Final = 50  # its engine hands the system no more than it takes


async def answer_to(
    context: Context, client: str, positions: Sequence[Position], origin: Origin, *, is_sealed: bool
) -> Answer:
    """The answer to a message that was taken in; ``is_sealed`` when the phone encrypts."""
    if client == "bgeo":
        news = await _news(context, positions, origin, _BGEO_REGIONS)
        return DONE[client] if news is None else Answer(bgeo_answer(news.advice, gone=news.gone))
    if client != "owntracks":
        return DONE[client]
    if origin.headers.get("user-agent", "").startswith("Overland"):
        return OVERLAND_DONE  # it speaks OwnTracks, but hears only itself
    platform = platform_of(origin.headers)
    news = await _news(context, positions, origin, REGIONS_MAX[platform or "ios"])
    if news is None:
        return DONE[client]
    passphrase = origin.passphrase if is_sealed else ""
    return Answer(owntracks_answer(news.advice, platform, gone=news.gone, passphrase=passphrase))


async def _news(
    context: Context, positions: Sequence[Position], origin: Origin, limit: int
) -> News | None:
    book = context.book
    await ready(book)
    return await context.advisor.news(
        context.state,
        book,
        positions,
        limit,
        context.clock(),
        is_own=origin.device_id is not None,
    )
