"""What campaigns may say: one message or several, to whom, and with which links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from geoengine.catalog.reading.report import Items
from geoengine.core.model import Campaign, EngineSpec, Message
from geoengine.core.saying.variants import messages_of

Path = tuple[str | int, ...]
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")  # BCP 47, as people's locales


def placed_messages(spec: Campaign) -> list[tuple[Path, Message]]:
    """Each message of a campaign, and where it stands in it."""
    if not spec.messages:
        return [((), messages_of(spec)[0])]
    return [(("messages", row), message) for row, message in enumerate(spec.messages)]


def texts_of(spec: Campaign) -> Iterator[tuple[Path, str]]:
    """Every template of a campaign, and where it stands."""
    for path, message in placed_messages(spec):
        for key, texts in (("message", message.message), ("title", message.title)):
            for language, text in texts.items():
                yield (*path, key, language), text


def check_saying(items: Items[Campaign], ix: int, spec: Campaign, engine: EngineSpec) -> None:
    """Report messages that cannot be chosen from, and what a campaign may not be."""
    if spec.messages:
        _check_several(items, ix, spec)
    elif not spec.message:
        items.wrong(ix, "nothing to say: expected `message` by language, or `messages`")
    elif spec.choose == "test":
        items.doubtful(ix, "one message is no test: expected `messages`", "choose")
    for path, message in placed_messages(spec):
        _check_languages(items, ix, path, message)
    if spec.track_clicks and engine.public_url is None:
        what = "track_clicks needs `engine.public_url`: links lead over this service"
        items.wrong(ix, what, "track_clicks")
    if spec.call_to_action == "pass" and engine.wallet is None:
        items.wrong(ix, "call_to_action pass needs `engine.wallet`", "call_to_action")
    if spec.legal_basis == "transactional":
        _check_transactional(items, ix, spec)


def _check_several(items: Items[Campaign], ix: int, spec: Campaign) -> None:
    for key in ("message", "title"):
        if getattr(spec, key):
            items.wrong(ix, f"both `{key}` and `messages`: expected one of them", key)
    known: set[str] = set()
    for row, message in enumerate(spec.messages):
        if message.id in known:
            what = f"message `{message.id}` comes twice: expected an id of its own"
            items.wrong(ix, what, "messages", row, "id")
        known.add(message.id)
        if message.weight != 1 and spec.choose == "rotation":
            what = "weight counts in a test only: in rotation each person hears all in turn"
            items.doubtful(ix, what, "messages", row, "weight")
    if spec.choose == "test" and not sum(message.weight for message in spec.messages):
        items.wrong(ix, "all weights are 0: expected one above it", "messages")
    if missing := _missing(spec):
        items.doubtful(ix, f"some messages lack {', '.join(missing)}", "messages")


def _check_languages(items: Items[Campaign], ix: int, path: Path, message: Message) -> None:
    """Report texts that nobody would hear, or would hear in two languages."""
    for language, text in message.message.items():
        if not text.strip():
            items.wrong(ix, "an empty text: expected what is said", *path, "message", language)
        if not _LANGUAGE.fullmatch(language):
            what = f"`{language}` is no language, so nobody's: expected one as fr or pt-BR"
            items.doubtful(ix, what, *path, "message", language)
    if lacking := sorted(message.message.keys() - message.title.keys()) if message.title else []:
        what = f"title lacks {', '.join(lacking)}: expected each language of the message"
        items.doubtful(ix, what, *path, "title")


def _missing(spec: Campaign) -> list[str]:
    """Languages that some of the messages have and others do not."""
    languages = [frozenset(message.message) for message in spec.messages]
    return sorted(frozenset().union(*languages) - frozenset.intersection(*languages))


def _check_transactional(items: Items[Campaign], ix: int, spec: Campaign) -> None:
    """What is told whatever the caps and the hour must not advertise."""
    if spec.about != "order_ready":
        what = "legal_basis transactional without an order: expected `about: order_ready`"
        items.wrong(ix, what, "legal_basis")
    if spec.coupon is not None:
        items.wrong(ix, "a coupon advertises: expected `legal_basis: consent` with it", "coupon")
    if float(spec.hold_out[:-1]):
        what = "nobody is held out from what is theirs: expected no `hold_out`"
        items.wrong(ix, what, "hold_out")
