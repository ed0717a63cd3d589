"""Whether texts fit their levers: segments of SMS, the bytes of a push, the subject of an e-mail.

How long a text becomes is known once it is filled in. It is filled in here with what is likely, and
with what the store of the longest name among the campaign's puts into it; what is too long even
with nothing filled in is a fault, what is likely too long is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from geoengine.catalog.building.saying import Path, placed_messages
from geoengine.catalog.reading.report import Items
from geoengine.core.model import Campaign, EngineSpec, Location, Message, SmsSpec, Store
from geoengine.core.offers.coupons import CODE_CHARS
from geoengine.core.saying.actions import directions_url
from geoengine.core.saying.links import length_of
from geoengine.core.saying.segments import UCS2_ONE, Segments, says_stop, segments_sent, with_stop
from geoengine.core.saying.templates import placeholders

STORES_MAX = 1_000  # of a campaign, whose names are tried; a million would hold up the compiling
# How long what a placeholder stands for becomes where it is not known here; in signs.
_LENGTHS = {"minutes": 2, "code": CODE_CHARS, "phone": 14, "url": 40, "name": 12, "city": 14}
_LENGTHS |= {"order": 12, "basket": 60, "arrival": 5}
_NAME_CHARS = 20  # of a store
_LINKS = ("directions", "url", "basket")  # placeholders that `track_clicks` makes short links of
Words = Mapping[str, str]  # what placeholders stand for
PUSH_MAX_BYTES = 4_096  # of Firebase and of Apple, ids and links among them
PUSH_REST_BYTES = 1_024  # what these take, with a link of the length that maps have
SUBJECT_MAX_CHARS = 78  # RFC 5322, 2.1.1: a line; mail programs show about as much


def check_lengths(
    items: Items[Campaign], ix: int, spec: Campaign, engine: EngineSpec, stores: Sequence[Store]
) -> None:
    """Report texts of a campaign that do not fit its levers, or may not."""
    words = _words_of(spec, engine, telling(stores))
    for at, said in placed_messages(spec):
        for language, template in said.message.items():
            if not _parses(template):
                continue
            path = (*at, "message", language)
            if "sms" in spec.levers:
                _check_sms(items, ix, (template, path), _sms_of(spec, engine), words)
            if "push" in spec.levers:
                _check_push(items, ix, (said, path), words)
        if "email" in spec.levers:
            _check_subjects(items, ix, (said, at), words)


def _sms_of(spec: Campaign, engine: EngineSpec) -> SmsSpec | None:
    """What SMS of a campaign are sent by. What is no advertisement needs no way out."""
    sms = engine.sms
    if sms is None or spec.legal_basis != "transactional":
        return sms
    return msgspec.structs.replace(sms, stop="")


def _check_sms(
    items: Items[Campaign], ix: int, said: tuple[str, Path], sms: SmsSpec | None, words: Words
) -> None:
    template, path = said
    stop = sms.stop if sms is not None else None
    if sms is not None and stop is None and not says_stop(template):
        what = (
            f"an SMS in `{path[-1]}` without the way out: expected STOP in it, or engine.sms.stop"
        )
        items.wrong(ix, what, *path)
    most = (sms or _UNSET).max_segments
    least = segments_sent(with_stop(filled(template, {}), stop))
    likely = segments_sent(with_stop(filled(template, words), stop))
    if least.segment_count > most:
        items.wrong(ix, f"{_size(least)}: expected at most {most} SMS (engine.sms)", *path)
    elif likely.segment_count > 1:
        more = f", more than the {most} that are sent" if likely.segment_count > most else ""
        items.doubtful(ix, f"{_size(likely)}{more}", *path)


def _size(size: Segments) -> str:
    signs = size.foreign[:10]
    because = f", because of {signs}" if size.one_holds == UCS2_ONE else ""
    return (
        f"about {size.place_count} signs once filled in: one SMS holds {size.one_holds}{because}; "
        f"this takes {size.segment_count}"
    )


def _check_push(
    items: Items[Campaign], ix: int, placed: tuple[Message, Path], words: Words
) -> None:
    (said, path), language = placed, str(placed[1][-1])
    texts = [said.message[language], said.title.get(language, "")]
    texts = [text for text in texts if _parses(text)]
    least = sum(len(filled(text, {}).encode()) for text in texts)
    likely = sum(len(filled(text, words).encode()) for text in texts)
    if least > PUSH_MAX_BYTES:
        what = f"{least:,} bytes: expected at most {PUSH_MAX_BYTES:,}, all that a push carries"
        items.wrong(ix, what, *path)
    elif likely > PUSH_MAX_BYTES - PUSH_REST_BYTES:
        what = f"about {likely:,} bytes: with its link it may be more than a push carries, 4,096"
        items.doubtful(ix, what, *path)


def _check_subjects(
    items: Items[Campaign], ix: int, placed: tuple[Message, Path], words: Words
) -> None:
    said, at = placed
    if not said.title:
        items.doubtful(ix, "no title: e-mails have their first line as subject", *at, "message")
    elif missing := sorted(said.message.keys() - said.title.keys()):
        what = f"no title in {', '.join(missing)}: an e-mail's subject is in another language"
        items.doubtful(ix, what, *at, "title")
    for language, template in said.title.items():
        if _parses(template):
            length = len(filled(template, words))
            if length > SUBJECT_MAX_CHARS:
                what = f"about {length} signs: mail programs show {SUBJECT_MAX_CHARS} of a subject"
                items.doubtful(ix, what, *at, "title", language)


def _parses(template: str) -> bool:
    try:
        placeholders(template)
    except ValueError:
        return False
    return True


def filled(template: str, words: Words) -> str:
    """A template with what its placeholders stand for; nothing for those that are not known.

    >>> filled("Code {code} {{!}}", {})
    'Code  {!}'
    """
    text = template.replace("{{", "\x00").replace("}}", "\x01")
    for name in placeholders(template):
        text = text.replace(f"{{{name}}}", words.get(name, ""))
    return text.replace("\x00", "{").replace("\x01", "}")


def _words_of(spec: Campaign, engine: EngineSpec, store: Store) -> dict[str, str]:
    """What is likely in place of each placeholder of a campaign."""
    likely = words_of(store)
    if spec.coupon is not None and spec.coupon.code:
        likely["code"] = spec.coupon.code
    if spec.track_clicks and engine.public_url is not None:
        likely |= dict.fromkeys(_LINKS, "x" * length_of(engine.public_url))
    return likely


def words_of(store: Store) -> dict[str, str]:
    """What is likely in place of each placeholder: as the store has it, else signs as many."""
    likely = {name: "x" * length for name, length in _LENGTHS.items()}
    known = {
        "store": store.name,
        "phone": store.phone,
        "url": store.url,
        "directions": directions_url(store, "walk"),  # as long as the way by car
    }
    return likely | {name: text for name, text in known.items() if text}


_UNSET = SmsSpec(provider="twilio")  # what holds where `engine.sms` is not there yet
# Stands in where a campaign has no store: its name is as long as names are.
_UNKNOWN = Store(id="unknown", name="x" * _NAME_CHARS, location=Location(lat=0, lon=0))


def telling(stores: Sequence[Store]) -> Store:
    """The store whose name costs most: one that no SMS alphabet has, else the longest."""
    return max(stores[:STORES_MAX], key=_name_cost, default=_UNKNOWN)


def _name_cost(store: Store) -> tuple[bool, int]:
    size = segments_sent(store.name)
    return bool(size.foreign), size.place_count
