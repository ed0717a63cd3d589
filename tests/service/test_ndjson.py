"""Bodies of any length: told of line by line, in bounded memory."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.errors import StateUnavailable
from geoengine.service.http.ndjson import BOM
from tests.service.serving import (
    AWAY,
    KEYS,
    UUID,
    Client,
    bare,
    now_s,
    ping,
    served,
    slow_down,
    types,
    until,
    walk_in,
)

NDJSON = "application/x-ndjson"
HEAD = (
    b"POST /v1/pings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: "
    + NDJSON.encode()
    + b"\r\nAuthorization: Bearer "
    + KEYS["app"].encode()
    + b"\r\n\r\n"
)


def lines(rows: list[Any]) -> bytes:
    """Rows, one a line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def chunk(text: bytes) -> bytes:
    """A text as a chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(text), text)


class Upload:
    """A body under way: sent a piece at a time, its answer read a line at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""

    async def send(self, text: bytes) -> None:
        """Some more of the body."""
        self._writer.write(chunk(text))
        await self._writer.drain()

    def send_raw(self, text: bytes) -> None:
        """What need not be a chunk."""
        self._writer.write(text)

    def end(self) -> None:
        """The body's end."""
        self.send_raw(b"0\r\n\r\n")

    async def line(self) -> Any:
        """The next line of the answer."""
        while b"\n" not in self._rest:
            size = int(await asyncio.wait_for(self._reader.readline(), 5), 16)
            assert size, "the answer is over"
            self._rest += await self._reader.readexactly(size)
            await self._reader.readline()
        text, _, self._rest = self._rest.partition(b"\n")
        return json.loads(text)


@asynccontextmanager
async def uploading(client: Client) -> AsyncIterator[Upload]:
    """A body that has begun."""
    async with bare(client) as (reader, writer):
        writer.write(HEAD)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert NDJSON.encode() in head
        yield Upload(reader, writer)


async def posted(client: Client, body: Any, path: str = "/v1/pings", **headers: str) -> list[Any]:
    """The lines of the answer to a body."""
    sent = {
        "Authorization": f"Bearer {client.key}",
        "Content-Type": NDJSON,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with client.session.post(client.url + path, data=body, headers=sent) as reply:
        assert (reply.status, reply.content_type) == (200, NDJSON)
        return [json.loads(line) async for line in reply.content]


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body whose length nobody knows beforehand."""
    for piece in pieces:
        yield piece


async def test_each_piece_is_told_of_as_soon_as_it_is_durable(tmp_path: Path) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        away, *inside = walk_in("phone")
        await body.send(lines([away]))
        told = await body.line()
        assert told == {"accepted": 1, "rejected": [], "events": []}
        await body.send(lines(inside))
        told = await body.line()
        assert (told["accepted"], types(told)) == (2, ["zone.entered", "trigger.fired"])
        body.end()
        assert await body.line() == {"done": True, "accepted": 3, "rejected": 0}


async def test_nothing_is_told_of_before_it_is_durable(tmp_path: Path) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        gate = await slow_down(client)
        await body.send(lines(walk_in("phone")))
        telling = asyncio.create_task(body.line())

        async def is_waiting() -> bool:
            return client.service.context.intake.ping_count == 3

        await until(is_waiting)
        assert not telling.done()
        gate.set()
        assert (await telling)["accepted"] == 3


async def test_wherever_the_body_is_cut_the_rows_are_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for size in (1, 7, 100, 333):
            text = BOM + lines(walk_in(f"phone-{size}")).strip()  # no newline at the end
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            told = await posted(client, in_pieces(*pieces))
            assert told[-1] == {"done": True, "accepted": 3, "rejected": 0}
            events = [name for line in told[:-1] for name in types(line)]
            assert events == ["zone.entered", "trigger.fired"]


async def test_rejects_are_numbered_by_their_row_of_the_whole_body(tmp_path: Path) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        rejected = []
        for _ in range(3):
            await body.send(lines([ping("a", AWAY), {"device_id": "b"}]) + b"\n \nnonsense\n[]\n")
            rejected += (await body.line())["rejected"]
        body.end()
        assert await body.line() == {"done": True, "accepted": 3, "rejected": 9}
    assert [(row["index"], row["reason"]) for row in rejected[:6]] == [
        (1, "lat_missing"), (2, "malformed_json"), (3, "not_an_object"),
        (5, "lat_missing"), (6, "malformed_json"), (7, "not_an_object"),
    ]  # fmt: skip


async def test_lines_of_sightings_are_taken_as_well(tmp_path: Path) -> None:
    heard = {"device_id": "phone", "uuid": UUID, "major": 1, "minor": 1, "rssi_dbm": -60}
    rows = [heard | {"seen_time": now_s() - 5 + ix} for ix in range(4)]
    bad = [{"uuid": UUID}]
    async with served(tmp_path) as client:
        body = in_pieces(lines(rows[:2]), lines(bad + rows[2:]))
        told = await posted(client, body, "/v1/sightings")
        assert told[-1] == {"done": True, "accepted": 4, "rejected": 1}
        assert [row["index"] for line in told[:-1] for row in line["rejected"]] == [2]
        assert "beacon.entered" in [name for line in told[:-1] for name in types(line)]


async def test_who_accepts_lines_is_told_in_lines_and_who_asks_for_json_is_not(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        told = await posted(client, lines(walk_in("phone")), Accept=NDJSON)
        assert told[-1]["done"]
        plain = await client.ok("POST", "/v1/pings", lines(walk_in("other")))
        assert plain["accepted"] == 3
        url = f"http://127.0.0.1:{client.port}/v1/pings"
        sent = {
            "Authorization": f"Bearer {client.key}",
            "Content-Type": NDJSON,
            "Accept": "application/json",
        }
        body = in_pieces(lines(walk_in("third")))
        async with client.session.post(url, data=body, headers=sent) as reply:
            assert (await reply.json())["accepted"] == 3


async def test_an_empty_body_is_done_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        assert await posted(client, in_pieces(b" \n", b"\n")) == [
            {"done": True, "accepted": 0, "rejected": 0}
        ]


async def test_a_body_longer_than_any_limit_is_taken_in_bounded_memory(tmp_path: Path) -> None:
    settings = {"max_body_bytes": 50_000, "queue_bytes": 2 << 20, "queue_pings": 20_000}
    async with served(tmp_path, **settings) as client:
        intake, most = client.service.context.intake, [0, 0]
        put = intake.put

        def watched(post: Any) -> None:
            put(post)
            most[:] = max(most[0], len(intake)), max(most[1], intake.body_bytes)

        intake.put = watched  # type: ignore[method-assign]
        rows = lines([ping(f"d{ix}", AWAY) for ix in range(1_000)])
        told = await posted(client, in_pieces(*[rows] * 100))
        assert told[-1] == {"done": True, "accepted": 100_000, "rejected": 0}
        assert len(rows) * 100 > 100 * settings["max_body_bytes"]
        assert most[0] <= 5
        assert most[1] <= settings["queue_bytes"]


async def test_no_more_is_read_than_a_few_pieces_ahead_of_the_commits(tmp_path: Path) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        gate, intake = await slow_down(client), client.service.context.intake
        rows = lines([ping(f"d{ix}", AWAY) for ix in range(500)])
        sent = 0

        async def push() -> None:
            nonlocal sent
            for _ in range(400):
                await body.send(rows)
                sent += 1

        pushing = asyncio.create_task(push())
        while True:  # until the sender has been stuck for a while
            before = sent
            await asyncio.wait([pushing], timeout=0.5)
            if sent == before:
                break
        assert sent < 400
        assert len(intake) <= 6
        gate.set()
        counted = 0
        while counted < 200_000:
            counted += (await body.line())["accepted"]
        await pushing
        body.end()
        assert (await body.line())["done"]


async def test_where_there_is_no_room_the_body_waits(tmp_path: Path) -> None:
    async with served(tmp_path, queue_pings=4) as client, uploading(client) as body:
        gate = await slow_down(client)
        full = [ping(f"full{ix}", AWAY) for ix in range(4)]
        other = asyncio.create_task(client.ok("POST", "/v1/pings", full))

        async def is_full() -> bool:
            return client.service.context.intake.ping_count == 4

        await until(is_full)
        await body.send(lines(walk_in("phone")))
        gate.set()
        assert (await other)["accepted"] == 4
        assert types(await body.line()) == ["zone.entered", "trigger.fired"]


async def test_a_state_that_fails_in_the_middle_is_told_with_how_far_it_got(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        await body.send(lines([*walk_in("phone"), {"device_id": "bad"}]))
        assert (await body.line())["accepted"] == 3
        state = client.service.context.state

        async def full(_commit: object) -> None:
            raise StateUnavailable("disk full")

        state.commit = full  # type: ignore[method-assign]
        await body.send(lines(walk_in("other")))
        last = await body.line()
        assert (last["done"], last["durable"]) == (False, 4)
        assert (last["accepted"], last["rejected"]) == (3, 1)
        assert last["problem"]["type"] == "urn:geoengine:problem:state_unavailable"
        assert last["retry_after_s"] >= 1


async def test_of_several_pieces_that_are_refused_the_first_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        gate, intake = await slow_down(client), client.service.context.intake

        async def full(_commit: object) -> None:
            raise StateUnavailable("disk full")

        client.service.context.state.commit = full  # type: ignore[method-assign]
        for ix in range(3):
            await body.send(lines(walk_in(f"phone-{ix}")))

            async def has_come(count: int = 3 * ix + 3) -> bool:
                return intake.ping_count == count

            await until(has_come)
        gate.set()
        last = await body.line()
        assert (last["done"], last["durable"]) == (False, 0)
    gc.collect()
    assert "never retrieved" not in caplog.text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (chunk(b"{" + b" " * 100_000), "malformed"),
        (b"", "body_too_slow"),
    ],
)
async def test_a_body_that_breaks_off_is_told_with_how_far_it_got(
    tmp_path: Path, text: bytes, kind: str
) -> None:
    async with served(tmp_path, body_timeout_s=0.5) as client, uploading(client) as body:
        await body.send(lines([ping("a", AWAY), ping("b", AWAY)]))
        assert (await body.line())["accepted"] == 2
        body.send_raw(text)
        last = await body.line()
        assert last["problem"]["type"] == f"urn:geoengine:problem:{kind}"
        assert (last["done"], last["durable"]) == (False, 2)


async def test_who_hangs_up_in_the_middle_leaves_what_was_durable_and_nothing_running(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        async with uploading(client) as body:
            await body.send(lines(walk_in("phone")))
            assert (await body.line())["accepted"] == 3
            await body.send(b'{"device_id": "half')
        running = {"Upload._take"}

        async def is_quiet() -> bool:
            names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
            return not names & running

        await until(is_quiet)
        assert await client.service.context.state.load(["phone"])


async def test_a_stop_in_the_middle_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as client, uploading(client) as body:
        await body.send(lines(walk_in("phone")))
        assert (await body.line())["accepted"] == 3
        client.service.context.is_stopping = True
        last = await body.line()
        assert (last["done"], last["durable"]) == (False, 3)
        assert last["problem"]["type"] == "urn:geoengine:problem:stopping"


@pytest.mark.parametrize(
    ("key", "headers", "status"),
    [(None, {}, 401), ("gateway", {}, 403), ("app", {"Content-Encoding": "gzip"}, 415)],
)
async def test_who_may_not_is_refused_before_anything_is_read(
    tmp_path: Path, key: str | None, headers: dict[str, str], status: int
) -> None:
    async with served(tmp_path) as client:
        sent = {"Accept": NDJSON, **headers}
        found = await client.using(key).call("POST", "/v1/pings", lines(walk_in("x")), sent)
        assert found[0] == status


async def test_who_does_not_read_the_answer_is_not_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path, body_timeout_s=0.3) as client:
        many_rejects = chunk(b"x\n" * 20_000)  # are told at twenty times the length
        with pytest.raises(ConnectionError):
            async with bare(client) as (_, writer):
                writer.write(HEAD)
                for _ in range(2_000):
                    writer.write(many_rejects)
                    await asyncio.wait_for(writer.drain(), 20)
