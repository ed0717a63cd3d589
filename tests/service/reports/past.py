"""A past on paper: decisions and facts in a list, given out in pages as a state would."""

from __future__ import annotations

from dataclasses import dataclass, field

from geoengine.core.ids import digest
from geoengine.core.record import Decision, Fact, Json
from geoengine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from geoengine.state.base import History

MONDAY_MS = 1_793_574_000_000  # 2026-11-02T00:00 in Paris, 23:00 the day before in UTC
PAGE_MAX = 7  # items; small, so that everything spans pages


@dataclass
class OnPaper:
    """What happened, told by hand. Facts at the end of a page come again on the next one."""

    items: list[Decision | Fact] = field(default_factory=list)

    async def history(
        self, since_ms: int, until_ms: int, start: str = "", limit: int = 10_000
    ) -> History:
        """A page, from where the last one said."""
        inside = [one for one in self.items if since_ms <= one.at_ms < until_ms]
        first = int(start or 0)
        again = [one for one in inside[max(first - 1, 0) : first] if isinstance(one, Fact)]
        last = first + min(limit, PAGE_MAX)
        return History(again + inside[first:last], str(last) if last < len(inside) else "")

    async def facts(self, person_id: str, limit: int = 1_000) -> list[Fact]:
        """What happened to somebody."""
        mine = [one for one in self.items if isinstance(one, Fact) and one.person_id == person_id]
        return sorted(mine, key=lambda one: -one.at_ms)[:limit]

    def fire(
        self,
        person: str,
        at_ms: int,
        *,
        campaign: str = "hello",
        store: str = "shop",
        lever: str = "push",
        is_measured: bool = True,
    ) -> str:
        """A message fired; its trigger."""
        trigger = digest("trigger", campaign, person, at_ms)
        self.items.append(
            Decision(
                *(person, at_ms, campaign, store, store, ""),
                *("fired", "ok", lever, trigger, is_measured),
            )
        )
        return trigger

    def stop(
        self,
        person: str,
        at_ms: int,
        reason: str,
        *,
        campaign: str = "hello",
        store: str = "shop",
        is_only: bool = True,
    ) -> None:
        """A campaign that did not fire; by a hold-out alone, or not."""
        is_held = reason.startswith("holdout") and is_only
        trigger = digest("trigger", campaign, person, at_ms) if is_held else ""
        self.items.append(
            Decision(
                *(person, at_ms, campaign, store, store, ""),
                *("suppressed", reason, "", trigger, True),
            )
        )

    def happen(self, kind: str, trigger: str, at_ms: int, **data: object) -> None:
        """A fact about a trigger."""
        fired = next(
            one for one in self.items if isinstance(one, Decision) and one.trigger_id == trigger
        )
        self.items.append(
            Fact(
                id=digest(kind, trigger, at_ms),
                kind=kind,
                person_id=fired.person_id,
                at_ms=at_ms,
                store_id=fired.store_id,
                campaign_id=fired.campaign_id,
                trigger_id=trigger,
                data={"lever": fired.lever} | data,
            )
        )

    def visit(
        self, person: str, at_ms: int, *, store: str = "shop", by: str = "beacon", **data: object
    ) -> None:
        """A visit to a shop."""
        told: Json = {"by": by, "confidence": 0.95, "duration_s": 600.0, "path": []} | data
        self.items.append(
            Fact(digest("visit", person, store, at_ms), "visit", person, at_ms, store, data=told)
        )


def at(day: int = 0, hour: int = 12, minute: int = 0) -> int:
    """A moment of the week that begins on Monday, on the clocks of Paris."""
    return MONDAY_MS + day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS


def crowd(count: int, name: str = "p") -> list[str]:
    """So many people."""
    return [f"{name}{ix}" for ix in range(count)]
