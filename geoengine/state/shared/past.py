"""The past of the shared state: what was decided and what happened, in a log a person."""

from __future__ import annotations

from geoengine.core.record import Decision, Fact
from geoengine.state.base import History
from geoengine.state.shared.paging import Paging
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import count_of, decisions_of, facts_of


class SharedPast:
    """Reads it."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self._paging = Paging(partitions, "history")

    async def decisions(self, person_id: str, limit: int) -> list[Decision]:
        """The decisions about a person, newest first."""
        found = decisions_of(await self._log("decisions", person_id))[::-1]
        return sorted(found, key=lambda one: -one.at_ms)[:limit]

    async def facts(self, person_id: str, limit: int) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        found = facts_of(await self._log("facts", person_id))[::-1]
        by_id = {fact.id: fact for fact in found}
        return sorted(by_id.values(), key=lambda fact: -fact.at_ms)[:limit]

    async def _log(self, function: str, person_id: str) -> bytes:
        number = self._partitions.of(person_id)
        replies = await self._partitions.call(function, {number: (person_id,)})
        log: bytes = replies[number]
        return log

    async def history(self, since_ms: int, until_ms: int, start: str, limit: int) -> History:
        """A page of what there is of a time, person by person and partition by partition."""
        logs, after = await self._paging.page(
            start, limit, since_ms, until_ms, count_of=lambda logs: sum(map(count_of, logs))
        )
        # Logs of several people, end to end, are read as one.
        said, happened = b"".join(logs[::2]), b"".join(logs[1::2])
        return History([*decisions_of(said), *facts_of(happened)], after)
