"""A real Valhalla: its programs out of a wheel that our Python cannot import, over tiles of a town.

The wheel of ``pyvalhalla`` is for Python 3.12 and newer, but the programs in it need none. They are
looked for where ``GEOENGINE_VALHALLA_BIN`` says, else in ``.venv/valhalla``, where

    python -m tests.servers.valhalla

puts them. What finds none is skipped.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.servers import keeper
from tests.servers.places import free_port
from tests.servers.server import START_S, wait_until

UNPACKED = Path(__file__).parents[2] / ".venv" / "valhalla"
PROGRAMS = "GEOENGINE_VALHALLA_BIN"
_NEWER = ("python3.14", "python3.13", "python3.12")


@functools.cache
def _programs() -> Path | None:
    named = os.environ.get(PROGRAMS)
    folder = Path(named) if named else UNPACKED / "valhalla" / "bin"
    return folder if (folder / "valhalla_service").is_file() else None


def programs() -> Path:
    """The folder of Valhalla's programs; a test on a machine without them is skipped."""
    folder = _programs()
    if folder is None:
        pytest.skip("no Valhalla on this machine: python -m tests.servers.valhalla")
    return folder


@functools.cache
def _newer_python() -> str | None:
    """A Python that the wheel's package runs on."""
    homes = sorted(Path.home().glob(".pyenv/versions/3.*/bin"), reverse=True)
    named = [shutil.which(name) for name in _NEWER]
    for python in [sys.executable, *named, *(str(home / "python") for home in homes)]:
        check = "import sys; sys.exit(sys.version_info < (3, 12))"
        if python and Path(python).exists():
            done = subprocess.run([python, "-c", check], check=False, capture_output=True)
            if done.returncode == 0:
                return python
    return None


def python_with_valhalla(folder: Path) -> str:
    """An interpreter that can import Valhalla, made in a folder; skipped where there is none."""
    package = programs().parents[1]
    newer = _newer_python()
    if newer is None or not (package / "valhalla" / "__init__.py").is_file():
        pytest.skip("no Python 3.12 or newer on this machine, or not the wheel of Valhalla")
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH="{package}" exec "{newer}" "$@"\n')
    interpreter.chmod(0o755)
    return str(interpreter)


def default_config() -> dict[str, Any]:
    """Valhalla's own, as its wheel has it."""
    file = programs().parent / "valhalla_build_config.py"
    if not file.is_file():
        pytest.skip("these programs of Valhalla have no default configuration beside them")
    spec = importlib.util.spec_from_file_location("valhalla_build_config", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)

    def sure(part: dict[str, Any]) -> dict[str, Any]:
        return {
            name: sure(value) if isinstance(value, dict) else value
            for name, value in part.items()
            if not isinstance(value, module.Optional)
        }

    return sure(module.config)


@dataclass(kw_only=True)
class Valhalla(keeper.Kept):
    """A server on loopback; it tells of itself only if it is verbose, as most are not."""

    directory: Path
    tiles: Path
    is_verbose: bool = False
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it; returns when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [str(programs() / "valhalla_service"), str(self._configured()), "1"]
        self._process = keeper.start(command, self.log)
        wait_until(self._answers, "valhalla_service did not start")

    @property
    def log(self) -> Path:
        return self.directory / "valhalla.log"

    def _answers(self) -> bool:
        assert self.is_running, self.said
        with urlopen(f"{self.url}/status", timeout=START_S) as answer:
            return bool(answer.status == 200)

    def _configured(self) -> Path:
        config = default_config()
        config["mjolnir"] |= {"tile_dir": str(self.tiles), "tile_extract": ""}
        config["service_limits"]["status"]["allow_verbose"] = self.is_verbose
        config["httpd"]["service"]["listen"] = f"tcp://127.0.0.1:{self.port}"
        for part in ("loki", "thor", "odin", "meili"):
            config[part]["service"]["proxy"] = f"ipc://{self.directory}/{part}"
        for pipe in ("loopback", "interrupt"):
            config["httpd"]["service"][pipe] = f"ipc://{self.directory}/{pipe}"
        file = self.directory / "valhalla.json"
        file.write_text(json.dumps(config))
        return file


def fetch() -> None:
    """Get the wheel for this machine and unpack it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--python-version", "3.12", "--implementation", "cp"]
    command += ["--abi", "abi3", "--platform", f"manylinux_2_28_{platform.machine()}"]
    UNPACKED.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, "--dest", str(UNPACKED), "pyvalhalla>=3.9,<4"], check=True)
    with zipfile.ZipFile(next(UNPACKED.glob("pyvalhalla-*.whl"))) as wheel:
        wheel.extractall(UNPACKED)
    for program in (UNPACKED / "valhalla" / "bin").iterdir():
        program.chmod(0o755)


if __name__ == "__main__":
    fetch()
