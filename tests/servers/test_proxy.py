"""What a client sees through a proxy that loses, delays and withholds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import hiredis
import pytest

from tests.servers import shared
from tests.servers.proxy import Proxy, Splitter, proxying
from tests.servers.server import Server, needed

STREAM = [
    b"+OK\r\n", b":12\r\n", b"$5\r\na\r\nbc\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"_\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"%1\r\n+a\r\n,1.5\r\n", b">2\r\n+push\r\n#t\r\n",
    b"-ERR no\r\n",
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_cut_into_its_values_however_it_arrives(size: int):
    stream, splitter = b"".join(STREAM), Splitter()
    parts = (stream[at : at + size] for at in range(0, len(stream), size))
    assert [value for part in parts for value in splitter.split(part)] == STREAM


class Client:
    """One connection, on which requests are sent together and replies read one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._replies = hiredis.Reader(encoding="utf-8")

    def send(self, *commands: str) -> None:
        self.writer.write(b"".join(hiredis.pack_command(tuple(c.split())) for c in commands))

    async def reply(self) -> object:
        """The next reply, or the end of the connection as an error."""
        async with asyncio.timeout(5):
            while (reply := self._replies.gets()) is False:
                received = await self._reader.read(65_536)
                if not received:
                    raise EOFError
                self._replies.feed(received)
            return reply


@pytest.fixture
def server() -> Server:
    needed("valkey")
    return shared.server("valkey")


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with proxying(server.place.host, server.port) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    yield client
    client.writer.close()


async def test_a_lost_reply_is_of_a_request_that_was_carried_out_once(
    server: Server, proxy: Proxy, client: Client
):
    a, b, c = (shared.prefix() for _ in range(3))
    lost = proxy.drop_reply(b"INCR")
    client.send(f"SET {a} x", f"INCR {b}", f"SET {c} x")
    assert await client.reply() == "OK"
    with pytest.raises((EOFError, ConnectionResetError)):
        await client.reply()
    assert lost.is_set()
    assert server.call("MGET", a, b) == ["x", "1"]
    again = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    again.send(f"INCR {b}")
    assert await again.reply() == 2
    again.writer.close()


async def test_a_lost_request_never_reached_the_server(
    server: Server, proxy: Proxy, client: Client
):
    a, b = shared.prefix(), shared.prefix()
    lost = proxy.drop_request(b"INCR")
    client.send(f"SET {a} x", f"INCR {b}")
    assert await client.reply() == "OK"
    with pytest.raises((EOFError, ConnectionResetError)):
        await client.reply()
    assert lost.is_set()
    assert server.call("MGET", a, b) == ["x", None]


async def test_a_black_hole_answers_nothing_until_it_is_gone(
    server: Server, proxy: Proxy, client: Client
):
    key = shared.prefix()
    client.send("PING")
    assert await client.reply() == "PONG"
    proxy.black_hole()
    client.send(f"SET {key} x")
    waiting = asyncio.create_task(client.reply())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done and server.call("GET", key) is None
    proxy.restore()
    assert await waiting == "OK"


async def test_a_slow_way_takes_its_time_and_keeps_the_order(proxy: Proxy, client: Client):
    proxy.delay_s = 0.02
    started_s = asyncio.get_running_loop().time()
    client.send("PING", "ECHO a", "ECHO b")
    assert [await client.reply() for _ in range(3)] == ["PONG", "a", "b"]
    assert asyncio.get_running_loop().time() - started_s >= 0.04


async def test_whoever_is_hung_up_on_may_come_again(proxy: Proxy, client: Client):
    client.send("PING")
    assert await client.reply() == "PONG"
    proxy.hang_up()
    with pytest.raises((EOFError, ConnectionResetError)):
        await client.reply()
    again = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    again.send("PING")
    assert await again.reply() == "PONG"
    again.writer.close()


async def test_behind_a_proxy_a_server_that_is_gone_is_gone(proxy: Proxy):
    async with proxying("127.0.0.1", 1) as nowhere:
        client = Client(*await asyncio.open_connection("127.0.0.1", nowhere.port))
        with pytest.raises((EOFError, ConnectionResetError)):
            await client.reply()
        client.writer.close()
