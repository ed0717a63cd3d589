"""The library of server-side functions: its text, and the names by which they are called."""

from __future__ import annotations

from importlib import resources
from typing import Final

FUNCTIONS: Final = (
    "look", "note", "load", "home", "settle_in", "move_out", "leave_home", "page", "commit",
    "sweep", "overdue", "peek", "take", "begin", "begun", "settle", "held", "free", "list",
    "sends_of", "revive", "decisions", "facts", "history", "erase", "trim", "sizes", "hold",
    "leave", "members",
    "find_cards", "put_card", "page_cards", "owned_cards", "disown", "end_cards",
    "tell", "take_in", "wipe",
)  # fmt: skip


def library() -> str:
    """The server-side functions, as they are loaded."""
    files = (resources.files("geoengine.state.shared") / "functions").iterdir()
    parts = sorted((file.name, file.read_text("utf-8")) for file in files if _is_lua(file.name))
    return "\n".join(text for _, text in parts)


def _is_lua(name: str) -> bool:
    return name.endswith(".lua")
