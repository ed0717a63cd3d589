"""Where records and the outbox live. `base` is the contract; `open_state` finds a back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoengine.core.errors import ConfigurationError, Fault
from geoengine.state.base import State
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState

__all__ = ["LocalState", "RedisState", "State", "is_shared", "open_state"]

_SHARED = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")


def open_state(url: str, **options: Any) -> State:
    """The back end that a URL names, not opened yet.

    ``local:PATH`` and ``memory:`` are one process's; ``redis://``, ``rediss://``,
    ``redis+cluster://``, ``rediss+cluster://`` and ``unix://`` are shared by many. ``options`` are
    those of the back end, such as ``last_fix_capacity``. Raises `ConfigurationError` for anything
    else. The text never repeats the URL: it may hold a password.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest.strip("/"):
        return LocalState(None, **options)
    if scheme == "local" and rest:
        return LocalState(Path(rest), **options)
    if scheme in _SHARED:
        return RedisState(url, **options)
    what = "not a state; expected local:PATH, memory:, redis:// or redis+cluster://"
    raise ConfigurationError([Fault("state", 1, 1, what)])


def is_shared(url: str) -> bool:
    """Whether several processes may serve the state that a URL names."""
    return url.partition(":")[0] in _SHARED
