"""The part of Tile38 that the harness speaks to, small and slow: RESP, HTTP, fences, channels.

    python tile38_double.py -h 127.0.0.1 -p 9851 -d DIR -q

Fences are circles on a sphere of 6,371 km; an event is a difference of sets. With DOUBLE_FORGETS
in the environment nobody is ever told to leave, as an engine that is wrong would do it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
from dataclasses import dataclass, field

SPHERE_M = 6_371_000.0
FORGETS = "DOUBLE_FORGETS" in os.environ


def distance_m(lat0: float, lon0: float, lat1: float, lon1: float) -> float:
    phi0, phi1 = math.radians(lat0), math.radians(lat1)
    half = math.sin((phi1 - phi0) / 2) ** 2
    half += math.cos(phi0) * math.cos(phi1) * math.sin(math.radians(lon1 - lon0) / 2) ** 2
    return 2 * SPHERE_M * math.asin(math.sqrt(half))


@dataclass
class Double:
    """Everything it remembers."""

    fences: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    inside: dict[str, set[str]] = field(default_factory=dict)
    subscribers: list[asyncio.StreamWriter] = field(default_factory=list)

    def run(self, words: list[str], writer: asyncio.StreamWriter) -> bytes:
        """A command, answered in RESP."""
        match words:
            case ["SETCHAN", name, "NEARBY", "fleet", "FENCE", "DETECT", "enter,exit",
                  "POINT", lat, lon, radius_m]:  # fmt: skip
                self.fences[name] = (float(lat), float(lon), float(radius_m))
                return b":1\r\n"
            case ["PSUBSCRIBE", "*"]:
                self.subscribers.append(writer)
                return b"*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"
            case ["SET", "fleet", device, "POINT", lat, lon]:
                self.set(device, float(lat), float(lon))
                return b"+OK\r\n"
            case ["EVAL", script, "0", *arguments] if "tile38.call('SET'" in script:
                for at in range(0, len(arguments), 3):
                    device, lat, lon = arguments[at : at + 3]
                    self.set(device, float(lat), float(lon))
                return b":%d\r\n" % (len(arguments) // 3)
        return b"-ERR unknown command '%s'\r\n" % words[0].encode()

    def set(self, device: str, lat: float, lon: float) -> None:
        """A place, and what its fences make of it."""
        now = {
            name
            for name, (zone_lat, zone_lon, radius_m) in self.fences.items()
            if distance_m(lat, lon, zone_lat, zone_lon) <= radius_m
        }
        was = self.inside.get(device, set())
        self.inside[device] = now
        for name in () if FORGETS else sorted(was - now):
            self.tell(name, device, "exit")
        for name in sorted(now - was):
            self.tell(name, device, "enter")

    def tell(self, name: str, device: str, detect: str) -> None:
        """To everybody who listens."""
        message = {"command": "set", "detect": detect, "hook": name, "key": "fleet", "id": device}
        words = ("pmessage", "*", name, json.dumps(message))
        said = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        for writer in self.subscribers:
            writer.write(said.encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection, of whichever kind."""
        while line := await reader.readline():
            if line.startswith(b"*"):
                words = [await bulk(reader) for _ in range(int(line[1:]))]
                writer.write(self.run(words, writer))
                await writer.drain()
                continue
            head = line + await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])
            words = (await reader.readexactly(length)).decode().split(" ")
            is_ok = not self.run(words, writer).startswith(b"-")
            body = json.dumps({"ok": is_ok, "elapsed": "1µs"}).encode() + b"\r\n"
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )
            break
        writer.close()


async def bulk(reader: asyncio.StreamReader) -> str:
    length = int((await reader.readline())[1:])
    return (await reader.readexactly(length + 2))[:-2].decode()


async def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-h", dest="host")
    parser.add_argument("-p", dest="port", type=int)
    parser.add_argument("-d", dest="directory")
    parser.add_argument("-q", action="store_true")
    options = parser.parse_args()
    double = Double()
    server = await asyncio.start_server(double.serve, options.host, options.port, limit=1 << 24)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
