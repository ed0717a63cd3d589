"""Where a service keeps its state while it is measured: in its own file, or on servers of ours.

The servers are those of the tests, started anew for each run on loopback, with every commit synced
before it is acknowledged, as the embedded state's are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import cpu_s

sys.path.append(str(Path(__file__).parents[1]))  # where the tests are

from tests.servers.cluster import Cluster
from tests.servers.server import Server, binaries


@dataclass
class Keep:
    """A place for a state."""

    state: Path | str  # a file, or the URL of servers
    servers: list[Server]

    def cpu_s(self) -> float:
        """Processor seconds that the servers have used so far, together."""
        return sum(cpu_s(server.pid) for server in self.servers)

    def told(self, section: str, name: str, mark: str = "") -> int:
        """A count that the servers keep, together: what stands there, or behind a mark."""
        texts = (server.info(section).get(name, "") for server in self.servers)
        numbers = (text.partition(mark)[2] if mark else text for text in texts)
        return sum(int(number.partition(",")[0]) for number in numbers if number)


Place = Callable[[Path], AbstractContextManager[Keep]]


@contextmanager
def embedded(folder: Path) -> Iterator[Keep]:
    """The service's own file."""
    folder.mkdir(parents=True)
    yield Keep(folder / "state.db", [])


def alone(name: str, *, partitions: int | None = None) -> Place:
    """One server of that name; the state begins with so many partitions, or as many as usual."""
    query = f"?partitions={partitions}" if partitions else ""

    @contextmanager
    def place(folder: Path) -> Iterator[Keep]:
        with Server(directory=folder, binary=binaries()[name], appendonly="always") as server:
            yield Keep(server.url + query, [server])

    return place


@contextmanager
def cluster(folder: Path) -> Iterator[Keep]:
    """Three primaries and three replicas, which are waited for."""
    with Cluster(folder, binaries()["valkey"], appendonly="always") as six:
        yield Keep(six.url, six.nodes)
