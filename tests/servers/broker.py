"""A real MQTT broker in a process of its own: Mosquitto, on loopback."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.servers import keeper
from tests.servers.certificates import Certificates
from tests.servers.places import free_port
from tests.servers.server import START_S, wait_until

# What docs/mqtt.md proposes: who serves reads everything; a phone speaks for itself, and hears us.
RULES = """user geoengine
topic read owntracks/#
topic write owntracks/+/+/cmd
topic read home/+/BTtoMQTT/#
topic read /gw/+/status

user boxes
topic write /gw/+/status
topic write home/+/BTtoMQTT/#

pattern write owntracks/%u/#
pattern read owntracks/%u/+/cmd
"""
_PROGRAM = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
_PASSWORDS = shutil.which("mosquitto_passwd")


def program() -> str:
    """Mosquitto; a test on a machine without it is skipped."""
    if _PROGRAM is None:
        pytest.skip("no mosquitto on this machine")
    return _PROGRAM


@dataclass(kw_only=True)
class Broker(keeper.Kept):
    """A broker on a port and a directory that stay the same from one start to the next.

    With ``users`` nobody else may connect, and they may do what `RULES` say. What is queued
    outlives an end that was asked for.
    """

    directory: Path
    users: Mapping[str, str] = field(default_factory=dict)  # name -> password
    certificates: Certificates | None = None  # then it speaks TLS only
    options: Mapping[str, str] = field(default_factory=dict)  # by the names of its own manual
    port: int = field(default_factory=free_port)

    def url(self, user: str = "geoengine", **options: str | int) -> str:
        """How the service is told of it."""
        scheme = "mqtts" if self.certificates else "mqtt"
        known = f"{quote(user, safe='')}:{quote(self.users[user], safe='')}@" if self.users else ""
        if self.certificates:
            options.setdefault("ssl_ca_certs", str(self.certificates.authority))
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items())
        return f"{scheme}://{known}127.0.0.1:{self.port}?{query}"

    @property
    def log(self) -> Path:
        return self.directory / "broker.log"

    def start(self) -> None:
        """Run it; returns when it takes connections."""
        assert not self.is_running
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [program(), "-c", str(self._configured()), "-v"]
        self._process = keeper.start(command, self.log)
        wait_until(self._answers, "mosquitto did not start")

    def _answers(self) -> bool:
        assert self.is_running, self.said
        with socket.create_connection(("127.0.0.1", self.port), START_S):
            return True

    def _configured(self) -> Path:
        file = self.directory / "broker.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",  # or root's would turn into somebody who may read less
            "persistence true",
            f"persistence_location {self.directory}/",
            *self._secrets(),
            *self._tls(),
            *(f"{name} {value}" for name, value in self.options.items()),
        ]
        file.write_text("".join(f"{line}\n" for line in lines))
        return file

    def _secrets(self) -> list[str]:
        if not self.users:
            return ["allow_anonymous true"]
        passwords, rules = self.directory / "passwords", self.directory / "rules"
        passwords.touch(mode=0o600)
        for user, password in self.users.items():
            assert _PASSWORDS is not None, "no mosquitto_passwd beside mosquitto"
            command = [_PASSWORDS, "-b", str(passwords), user, password]
            subprocess.run(command, check=True, capture_output=True)
        rules.write_text(RULES)
        return [
            "allow_anonymous false",
            f"password_file {passwords}",
            f"acl_file {rules}",
        ]

    def _tls(self) -> list[str]:
        if self.certificates is None:
            return []
        return [
            f"certfile {self.certificates.certificate}",
            f"keyfile {self.certificates.key}",
            f"cafile {self.certificates.authority}",
        ]
