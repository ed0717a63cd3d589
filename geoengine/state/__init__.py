"""Where records and the outbox live. `base` is the contract; `open_state` finds a back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoengine.core.errors import ConfigurationError, Fault
from geoengine.state.base import State
from geoengine.state.local import LocalState

__all__ = ["LocalState", "State", "open_state"]

_PLANNED = ("redis", "rediss", "valkey", "unix")


def open_state(url: str, **options: Any) -> State:
    """The back end that a URL names, not opened yet: ``local:PATH`` or ``memory:``.

    ``options`` are those of the back end, such as ``last_fix_capacity``. Raises
    `ConfigurationError` for any other scheme. The text never repeats the URL: it may hold a
    password.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest.strip("/"):
        return LocalState(None, **options)
    if scheme == "local" and rest:
        return LocalState(Path(rest), **options)
    what = f"{scheme!r} is not yet a state" if scheme in _PLANNED else "not a state"
    raise ConfigurationError([Fault("state", 1, 1, f"{what}; expected local:PATH or memory:")])
