"""Templates: text with ``{name}`` placeholders and nothing more; ``{{`` and ``}}`` are braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from string import Formatter

from msgspec import Struct

from geoengine.core.model import Mode, Store
from geoengine.core.record import Json
from geoengine.core.saying.actions import directions_url

_NAME = re.compile(r"^[a-z_]+$")
NO_LINKS: Mapping[str, str] = {}


class Scene(Struct, frozen=True, gc=False):
    """Where a message speaks, to whom, with which code."""

    store: Store | None
    zone_name: str  # of a zone without a store
    mode: Mode | None
    minutes: float  # NaN where the reach is not by time
    code: str
    attributes: Json  # the person's
    order: str = ""  # what lies ready for them
    basket: str = ""  # where they left something
    platform: str = ""  # of their phone: android, ios, web
    links: Mapping[str, str] = NO_LINKS  # call to action -> the short link that stands for it

    @property
    def directions(self) -> str:
        """The way to the store, in the map that the phone has."""
        if self.store is None:
            return ""
        known = self.links.get("directions")
        return known or directions_url(self.store, self.mode, self.platform)

    @property
    def url(self) -> str:
        """The store's page."""
        page = (self.store.url or "") if self.store else ""
        return self.links.get("web", page) if page else ""


Word = Callable[[Scene], str]

_WORDS: dict[str, Word] = {
    "store": lambda scene: scene.store.name if scene.store else scene.zone_name,
    "directions": lambda scene: scene.directions,
    "minutes": lambda scene: f"{scene.minutes:g}" if scene.minutes == scene.minutes else "",
    "code": lambda scene: scene.code,
    "phone": lambda scene: (scene.store.phone or "") if scene.store else "",
    "url": lambda scene: scene.url,
    "name": lambda scene: str(scene.attributes.get("name", "")),
    "city": lambda scene: str(scene.attributes.get("city", "")),
    "order": lambda scene: scene.order,
    "basket": lambda scene: scene.links.get("basket", scene.basket) if scene.basket else "",
}
PLACEHOLDERS = frozenset(_WORDS)


def placeholders(template: str) -> set[str]:
    """The names a template asks for; raises ValueError where its braces do not match.

    >>> sorted(placeholders("{store}: {directions} {{sic}}"))
    ['directions', 'store']
    """
    names = set()
    for _text, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if not _NAME.match(name) or spec or conversion:
            raise ValueError(f"{{{name}}} is not a plain placeholder")
        names.add(name)
    return names


def render(template: str, scene: Scene) -> str:
    """Fill in a template; a placeholder without a value becomes nothing.

    >>> render("Come to {store}!{phone}", Scene(None, "Rivoli", None, 5.0, "", {}))
    'Come to Rivoli!'
    """
    parts = _compiled(template)
    return "".join([text if word is None else text + word(scene) for text, word in parts]).strip()


@lru_cache(maxsize=16_384)
def _compiled(template: str) -> tuple[tuple[str, Word | None], ...]:
    """A template as texts, each with the word that follows it."""
    return tuple(
        (text, None if name is None else _WORDS.get(name))
        for text, name, _spec, _conversion in Formatter().parse(template)
    )


def in_language(texts: Mapping[str, str], locale: str) -> tuple[str, str]:
    """The text for a locale and its language: exact, then less and less of it (RFC 4647, lookup),
    then another country's of that language, then the first written.

    >>> in_language({"fr": "Bonjour", "en": "Hello"}, "en_GB")
    ('en', 'Hello')
    """
    if locale in texts:
        return locale, texts[locale]
    known = {_tag(name): name for name in texts}
    asked = _tag(locale)
    language = asked.partition("-")[0]
    while asked and asked not in known:
        asked = asked.rpartition("-")[0]
    of_language = (name for tag, name in known.items() if tag.partition("-")[0] == language)
    name = known.get(asked) or next(of_language, None) or next(iter(texts), "")
    return name, texts.get(name, "")


def _tag(locale: str) -> str:
    """A locale as all spellings of it are compared: capitals and ``_`` tell nothing apart."""
    return locale.replace("_", "-").lower()
