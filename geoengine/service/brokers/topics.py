"""Which topics are taken, and whose message stands on each.

On a broker the topic is what its access rules let somebody write to: it tells who has spoken, and
what the body says of that counts for nothing. A phone is ``user/device``; a gateway must be one of
the catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from geoengine.core.model import Gateway
from geoengine.service.brokers.address import Address
from geoengine.service.native.credentials import Ears, plain

Levels = list[str]


@dataclass(frozen=True, slots=True)
class Family:
    """Messages of one kind, and where in their topic a gateway is named.

    ``is_timed`` where a message says when it was so. What does not is asked for without the
    broker's keeping it: heard later, nobody could tell that it is old.
    """

    kind: str
    topic: str
    gateway_level: int = 0
    is_timed: bool = True
    gateway_id: str | None = None  # known beforehand, of a topic that the catalogue names

    @property
    def qos(self) -> int:
        """How the broker is asked to hand messages on."""
        return 1 if self.is_timed else 0


FAMILIES: Final = (
    Family("owntracks", "owntracks/+/+/#"),
    Family("theengs", "home/+/BTtoMQTT/#", 1, is_timed=False),
    Family("espresense", "espresense/devices/+/+", 3, is_timed=False),
    Family("room_assistant", "room-assistant/entity/#", 2),
    Family("ruuvi", "ruuvi/+/+", 1),
    Family("minew", "/gw/+/status", 2),
)
PHONES: Final = frozenset({"owntracks"})
UNTIMED: Final = frozenset({"theengs", "espresense", "ingics", "blukii", "april_brother"})
NAMING: Final = frozenset({"room_assistant"})  # these name a gateway with each thing they tell
_BASE_LEVELS: Final = 3  # owntracks/USER/DEVICE
COMMANDS: Final = "cmd"  # to a phone; every subscriber to its topics hears them, so do we


@dataclass(frozen=True, slots=True)
class Whose:
    """A topic of ours: what kind of message it carries, and who published it.

    That is a phone, or a gateway with what it may speak for.
    """

    kind: str
    topic: str  # without the broker's prefix
    speaker: str  # whose messages are taken in the order in which they came
    device_id: str | None = None
    ears: Ears | None = None


class Topics:
    """The topics of one broker, under one catalogue."""

    def __init__(self, gateways: Mapping[str, Gateway], address: Address) -> None:
        options, kinds = address.options, address.kinds
        families = [*_named(gateways.values()), *FAMILIES]
        self._families = [
            _below(options.prefix, one) for one in families if not kinds or one.kind in kinds
        ]
        self._levels = [one.topic.split("/") for one in self._families]
        self._prefix = f"{options.prefix.rstrip('/')}/" if options.prefix else ""
        self._share = f"$share/{options.share}/" if options.share else ""
        self._ears = _all_ears(gateways.values())

    def filters(self) -> dict[str, int]:
        """What to subscribe to, and with which quality of service."""
        return {self._share + self._prefix + one.topic: one.qos for one in self._families}

    def whose(self, topic: str) -> Whose | str:
        """Who has spoken on a topic; or why nobody of ours."""
        if not topic.startswith(self._prefix):
            return "unknown_topic"
        topic = topic[len(self._prefix) :]
        levels = topic.split("/")
        for family, wanted in zip(self._families, self._levels, strict=True):
            if matches(wanted, levels):
                if family.kind in PHONES:
                    return _phone(family.kind, topic, levels)
                return self._gateway(family, topic, levels)
        return "unknown_topic"

    def base(self, topic: str) -> str:
        """Of a phone's topic the levels that are the phone's, where its commands go below."""
        depth = self._prefix.count("/") + _BASE_LEVELS
        return "/".join(topic.split("/")[:depth])

    def _gateway(self, family: Family, topic: str, levels: Levels) -> Whose | str:
        name = levels[family.gateway_level] if family.gateway_id is None else family.gateway_id
        ears = self._ears.get((family.kind, plain(name)))
        if ears is None:
            return "unlisted_gateway"
        return Whose(family.kind, topic, plain(name), ears=ears)


def _all_ears(gateways: Iterable[Gateway]) -> dict[tuple[str, str], Ears]:
    """What each gateway may speak for: itself, and others of its kind in its store.

    Where a message names a gateway for each thing it tells, it is of no gateway by itself.
    """
    crews: dict[tuple[str, str], dict[str, str]] = {}
    for one in gateways:
        crews.setdefault((one.kind or "", one.store), {})[plain(one.id)] = one.id
    return {
        (kind, name): Ears(None if kind in NAMING else gateway_id, crew)
        for (kind, _store), crew in crews.items()
        for name, gateway_id in crew.items()
    }


def _phone(kind: str, topic: str, levels: Levels) -> Whose | str:
    _, user, device, *more = levels
    if more[:1] == [COMMANDS]:
        return "our_own"
    if not user or not device:
        return "nameless"
    return Whose(kind, topic, f"{user}/{device}", device_id=f"{user}/{device}")


def _named(gateways: Iterable[Gateway]) -> list[Family]:
    """The topics that the catalogue names by themselves."""
    return [
        Family(
            gateway.kind,
            gateway.topic,
            is_timed=gateway.kind not in UNTIMED,
            gateway_id=gateway.id,
        )
        for gateway in gateways
        if gateway.topic and gateway.kind
    ]


def _below(prefix: str | None, family: Family) -> Family:
    """The family where all topics begin with some levels more, and so none with a slash."""
    if not prefix or not family.topic.startswith("/"):
        return family
    return replace(family, topic=family.topic[1:], gateway_level=family.gateway_level - 1)


def matches(wanted: Levels, levels: Levels) -> bool:
    """Whether a topic is one of those that a filter stands for, both split into levels.

    >>> matches("a/+/#".split("/"), "a/b".split("/")), matches(["a", "+"], ["a", "b", "c"])
    (True, False)
    """
    for ix, level in enumerate(wanted):
        if level == "#":
            return True
        if ix >= len(levels) or level not in ("+", levels[ix]):
            return False
    return len(levels) == len(wanted)
