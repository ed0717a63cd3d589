"""What operators see: Prometheus series, counted once a batch.

Registries of its own, so that two services in one process do not share counts: one for what this
process does, one for what is true of the state and so of every process over it. Children of
labelled series are kept, since looking one up costs more than adding to it. No label holds a
person, a device, a place or a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from geoengine.ingest.wire import Reject

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, read by nobody

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABELS_MAX = 200  # series of one name; a reason that varies without end would be a leak
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Counts:
    """A labelled counter whose children are looked up once."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[tuple[str, ...], Counter] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        """Count so many more under these labels; beyond `LABELS_MAX` of them, under ``other``."""
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= LABELS_MAX:
                labels = ("other",) * len(labels)
            child = self._children[labels] = self._counter.labels(*labels)
        child.inc(amount)


class Metrics:
    """Every series of the service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.shared_registry = CollectorRegistry()
        self._series()
        self._gauges()
        self._shared_gauges()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def _series(self) -> None:
        self.pings = self._counter("pings", "Pings and sightings taken in")
        self.rejects = self._counts("rejects", "Pings refused at the door", "reason")
        self.fixes = self._counts("fixes", "What became of the pings taken in", "outcome")
        self.transitions = self._counts("transitions", "Enter, dwell, exit, crossed", "kind")
        self.decisions = self._counts("decisions", "Campaigns judged", "outcome", "reason")
        self.sends = self._counts("sends", "Messages, by how an attempt ended", "lever", "status")
        self.redemptions = self._counts("redemptions", "Codes redeemed at tills", "outcome")
        self.problems = self._counts("problems", "Requests refused", "kind")
        self.reloads = self._counts("reload", "Catalogues read while running", "result")
        self.failures = self._counts("failures", "Our faults", "where")
        self.native = self._counts(
            "native", "What clients and gateways of others said", "client", "outcome"
        )
        self.stream_messages = self._counts("stream_messages", "Messages of streams", "answer")
        self.streams_closed = self._counts("streams_closed", "Streams that ended", "code")
        self.mqtt = self._counts("mqtt_messages", "Messages of brokers", "kind", "outcome")
        self.batch_size = self._histogram("batch_pings", "Pings in one batch", _SIZES)
        self.commit_seconds = self._histogram(
            "commit_seconds", "From taking a batch to its being durable", _SECONDS
        )

    def _gauges(self) -> None:
        self.queue_pings = self._gauge("queue_pings", "Pings waiting for the worker")
        self.queue_bytes = self._gauge("queue_bytes", "Bytes waiting for the worker")
        self.connections = self._gauge("connections", "Open connections")
        self.streams = self._gauge("streams", "Open WebSockets")
        self.reload_failed = self._gauge("reload_failed", "1 while the catalogue on disk is bad")
        self.book = Gauge(
            "geoengine_book", "The catalogue in force", ["version"], registry=self.registry
        )

        self.mqtt_connected = Gauge(
            "geoengine_mqtt_connected",
            "1 while a broker is heard",
            ["broker"],
            registry=self.registry,
        )

    def _shared_gauges(self) -> None:
        self.outbox_pending = self._shared("outbox_pending", "Messages waiting to be sent")
        self.outbox_dead = self._shared("outbox_dead", "Messages given up on")
        self.outbox_age = self._shared(
            "outbox_oldest_age_seconds", "Age of the message that has waited longest"
        )
        self.coupons_left = Gauge(
            "geoengine_coupons_left",
            "Codes that a pool can still give",
            ["pool"],
            registry=self.shared_registry,
        )
        self.people = self._shared("people", "Records of people")
        self.devices = self._shared("devices", "Devices whose last fix is remembered")
        self.workers_missing = self._shared(
            "workers_missing", "Workers whose figures are not on this page"
        )

    def own_page(self) -> bytes:
        """What this process does, in Prometheus' text format."""
        return generate_latest(self.registry)

    def shared_page(self) -> bytes:
        """What is true whichever process is asked."""
        return generate_latest(self.shared_registry)

    def count_rejects(self, rejects: Iterable[Reject]) -> None:
        """Count rows that were refused."""
        for reject in rejects:
            self.rejects.add((reject.reason,))

    def shows_book(self, version: str) -> None:
        """Name the catalogue in force, and only that one."""
        self.book.clear()
        self.book.labels(version).set(1)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(f"geoengine_{name}", text, list(labels), registry=self.registry)

    def _counts(self, name: str, text: str, *labels: str) -> Counts:
        return Counts(self._counter(name, text, labels))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"geoengine_{name}", text, registry=self.registry)

    def _shared(self, name: str, text: str) -> Gauge:
        return Gauge(f"geoengine_{name}", text, registry=self.shared_registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"geoengine_{name}", text, buckets=buckets, registry=self.registry)


def gathered(pages: Mapping[int, bytes]) -> bytes:
    """The pages of several workers as one: each series says whose it is.

    A page names a series once and its figures right after, so figures are sorted in below the line
    that they stood below.

    >>> one, two = (b"# TYPE a counter\\na_total %d.0\\n" % total for total in (3, 4))
    >>> print(gathered({1: one, 2: two}).decode(), end="")
    # TYPE a counter
    a_total{worker="1"} 3.0
    a_total{worker="2"} 4.0
    """
    figures: dict[str, list[str]] = {}
    for worker, page in sorted(pages.items()):
        below: list[str] = []
        for line in page.decode().removesuffix("\n").split("\n"):
            if line.startswith("#"):
                below = figures.setdefault(line, [])
            else:
                below.append(_labelled(line, f'worker="{worker}"'))
    lines = [line for head, below in figures.items() for line in (head, *below)]
    return "\n".join([*lines, ""]).encode()


def _labelled(line: str, label: str) -> str:
    """A line of a page with one label more."""
    name, has_labels, rest = line.partition("{")
    if has_labels:
        return f"{name}{{{label},{rest}"
    name, _, figure = line.partition(" ")
    return f"{name}{{{label}}} {figure}"


def without_numbers(reason: str) -> str:
    """A decision's reason as a label: ``cap:day 2/2`` is ``cap:day``.

    >>> without_numbers("cap:day 2/2")
    'cap:day'
    """
    return reason.split(" ", 1)[0]
