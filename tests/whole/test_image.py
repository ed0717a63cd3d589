"""The Dockerfile without a container engine: its steps in order, in an environment of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
HERE = {
    "/opt/geoengine": "opt",
    "/etc/geoengine": "etc",
    "/var/lib/geoengine": "var",
    "/src": "src",
}


def steps(keyword: str) -> list[str]:
    """The instructions with this keyword, in order."""
    return [line.removeprefix(keyword).strip() for line in LINES if line.startswith(f"{keyword} ")]


class Image:
    """A directory that stands for the image's file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The base image calls its interpreter `python`; a Debian machine has python3 only.
        (root / "base").mkdir()
        (root / "base" / "python").symlink_to(Path(sys.executable).resolve())
        self.environment = {
            "PATH": f"{root}/opt/bin:{root}/base:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(root),
        }

    def here(self, text: str) -> str:
        """The same text with the image's paths put below the directory."""
        for path, name in HERE.items():
            text = text.replace(path, str(self.root / name))
        return text

    def run(self, command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
        """A command in the bare environment."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command, env=self.environment, cwd=self.root, text=True, check=True, **more
        )

    def make_user(self, step: str) -> None:
        """The user step, on an account file of the image's own; only root may."""
        (self.root / "etc").mkdir(exist_ok=True)
        for name in ("passwd", "group", "shadow", "gshadow"):
            (self.root / "etc" / name).touch()
        self.run(["sh", "-c", step.replace("useradd", f"useradd --prefix {self.root}")])
        assert "geoengine" in (self.root / "etc" / "passwd").read_text()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The build's steps done: sources copied, installed, configuration in place."""
    made = Image(tmp_path_factory.mktemp("image"))
    (made.root / "src").mkdir()
    for step in steps("COPY"):
        *sources, target = [word for word in step.split() if not word.startswith("--")]
        if "--from" in step:
            continue  # the second stage shares the directory
        for source in sources:
            into = Path(made.here(str(Path(target.replace("./", "/src/", 1)))))
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, into)
    for step in steps("RUN"):
        if "useradd" not in step:
            script = f"cd src && {made.here(step)}"
            made.run(["sh", "-c", script], capture_output=True, timeout=300)
    return made


def test_the_image_serves_is_healthy_and_refuses_to_without_keys(image: Image):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (command,) = [json.loads(image.here(line)) for line in steps("CMD") if line.startswith("[")]
    keyless = subprocess.run(
        command, env=image.environment, cwd=image.root, capture_output=True, timeout=60, check=False
    )
    assert keyless.returncode != 0
    assert b"key" in keyless.stderr

    served = [{"0.0.0.0": "127.0.0.1", "8080": str(port)}.get(word, word) for word in command]
    (image.root / "var").mkdir(exist_ok=True)
    environment = image.environment | {"GEOENGINE_SERVER_KEYS": "a-server-key"}
    service = subprocess.Popen(served, env=environment, cwd=image.root, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", service)
        (health,) = [line for line in LINES if line.strip().startswith('CMD ["python"')] or [
            line.partition("CMD ")[2] for line in steps("HEALTHCHECK")
        ]
        check = json.loads(health.strip().removeprefix("CMD ").replace("8080", str(port)))
        image.run(check, timeout=30)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/zones", timeout=5)
    finally:
        service.terminate()
        assert service.wait(20) == 0
    assert (image.root / "var" / "geoengine.db").exists()


def wait_for(url: str, service: subprocess.Popen[bytes]) -> None:
    """Until it answers, or a minute has passed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert service.poll() is None, "the service ended"
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{url} does not answer")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("useradd") is None, reason="only root may make users"
)
def test_the_image_runs_as_a_user_of_its_own(image: Image):
    (step,) = [line for line in steps("RUN") if "useradd" in line]
    image.make_user(step)
    assert steps("USER") == ["geoengine"]


def test_nothing_of_the_build_is_in_the_second_stage():
    second = "\n".join(LINES).partition("FROM")[2].partition("FROM")[2]
    assert "pip" not in second
    assert "COPY --from=build /opt/geoengine /opt/geoengine" in second
