"""Which of the retailer's systems take which event.

An endpoint takes an event whose type one of its patterns matches (``geoengine.trigger.*``) and,
where it names campaigns or stores, that is about one of them: what is about none is not for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from geoengine.core.model import EngineSpec, WebhookSpec
from geoengine.core.record import Event

SOLE = ""  # the id of `engine.webhook`, which has none
_PREFIX = "geoengine."  # patterns have it, types of events inside do not


def all_webhooks(spec: EngineSpec) -> dict[str, WebhookSpec]:
    """Every endpoint by its id: `engine.webhook` under no name, then `engine.webhooks`."""
    sole = {SOLE: spec.webhook} if spec.webhook is not None else {}
    return sole | {webhook.id or SOLE: webhook for webhook in spec.webhooks}


class Endpoints:
    """Who takes what, in the order in which they are configured; iterates over their ids."""

    __slots__ = ("_all", "_takers")

    def __init__(self, spec: EngineSpec) -> None:
        self._all = all_webhooks(spec)
        self._takers: dict[str, tuple[tuple[str, WebhookSpec], ...]] = {}  # by type, as they come

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def takers(self, event: Event) -> list[str]:
        """The ids of those that take an event."""
        takers = self._takers.get(event.type)
        if takers is None:
            takers = self._takers[event.type] = tuple(
                (id_, webhook)
                for id_, webhook in self._all.items()
                if _is_of_kind(event.type, webhook)
            )
        return [id_ for id_, webhook in takers if _is_about(event, webhook)]


def _is_of_kind(type_: str, webhook: WebhookSpec) -> bool:
    return any(_matches(_PREFIX + type_, pattern) for pattern in webhook.events)


def _matches(type_: str, pattern: str) -> bool:
    """Whether a type is of a kind.

    >>> _matches("geoengine.visit.closed", "geoengine.visit.*"), _matches("a.bc", "a.b")
    (True, False)
    """
    if pattern.endswith("*"):
        return type_.startswith(pattern[:-1])
    return type_ == pattern


def _is_about(event: Event, webhook: WebhookSpec) -> bool:
    if webhook.campaigns and event.data.get("campaign_id") not in webhook.campaigns:
        return False
    return not webhook.stores or event.data.get("store_id") in webhook.stores
