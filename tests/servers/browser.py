"""A real browser without a window: Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.servers import keeper
from tests.servers.server import wait_until

START_S = 60.0  # a second on a quiet machine
ANSWER_S = 60.0
_PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container gives it 64 MB, and a page of 10,000 stores has more
    "--force-color-profile=srgb",
)


def program() -> str:
    """Chromium; a test on a machine without it is skipped."""
    if _PROGRAM is None:
        pytest.skip("no chromium on this machine")
    return _PROGRAM


@dataclass
class Browser(keeper.Kept):
    """A browser with a profile of its own, heard on loopback only."""

    directory: Path

    def start(self) -> None:
        """Run it; returns when it can be asked for a page."""
        self.directory.mkdir(parents=True, exist_ok=True)
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # root cannot have one
        command = [program(), *_FLAGS, *sandbox, f"--user-data-dir={self.directory}", "about:blank"]
        self._process = keeper.start(command, self.log)
        wait_until(self._port_file.exists, "chromium did not start", START_S)

    def __exit__(self, *_: object) -> None:
        self.stop()  # killed, it would leave the processes of its pages behind

    @property
    def log(self) -> Path:
        return self.directory / "said.log"

    @property
    def _port_file(self) -> Path:
        return self.directory / "DevToolsActivePort"

    @asynccontextmanager
    async def open(self, url: str, width: int = 1400, height: int = 900) -> AsyncIterator[Tab]:
        """A tab that has loaded a page, and has heard everything since before it did."""
        port = int(self._port_file.read_text().split()[0])
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with session.ws_connect(
                target["webSocketDebuggerUrl"], max_msg_size=0, autoping=True
            ) as socket:
                tab = Tab(socket)
                hearing = asyncio.create_task(tab.hear())
                await tab.resize(width, height)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                await tab.go(url)
                yield tab
                await tab.call("Page.close")
                hearing.cancel()


class Tab:
    """One page: what it said, what it asked the network for, and what one does with it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requested: list[str] = []  # URLs
        self.complaints: list[str] = []  # errors and warnings of its console
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()

    async def hear(self) -> None:
        """Take what the browser says, until it says no more."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                self._heard(said["method"], said["params"])

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Page.loadEventFired":
            self._loaded.set()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        call_id = next(self._ids)
        self._waiting[call_id] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": call_id, "method": method, "params": params})
        said = await asyncio.wait_for(self._waiting[call_id], ANSWER_S)
        assert "error" not in said, f"{method}: {said['error']}"
        result: dict[str, Any] = said["result"]
        return result

    async def go(self, url: str) -> None:
        """Load a page; returns when it has loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), ANSWER_S)

    async def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def run(self, script: str) -> Any:
        """What an expression of the page's own language gives, promises kept."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def painted(self) -> None:
        """Until the page has drawn what it was told to draw."""
        await self.run(
            "new Promise((on) => requestAnimationFrame(() => requestAnimationFrame(on)))"
        )

    async def click(self, x: float, y: float) -> None:
        """As a mouse does."""
        where = {"x": x, "y": y, "button": "left", "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type="mousePressed", **where)
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", **where)

    async def press(self, key: str, code: int = 0) -> None:
        """A key of the keyboard, on whatever has the focus."""
        named = {"key": key, "windowsVirtualKeyCode": code}
        if len(key) == 1:
            named["text"] = key
        await self.call("Input.dispatchKeyEvent", type="keyDown", **named)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def type(self, text: str) -> None:
        """Text, where the focus is."""
        await self.call("Input.insertText", text=text)

    async def picture(self) -> bytes:
        """What it looks like, as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])
