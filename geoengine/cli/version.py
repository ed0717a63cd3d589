"""``geoengine --version``: which one this is, and whether its compiled part is there."""

from __future__ import annotations

from importlib.metadata import version

from geoengine.core.quiet import IS_COMPILED


def line() -> str:
    """One line for an operator; `geoengine.core.quiet` tells what is compiled."""
    return f"geoengine, version {version('geoengine')}, compiled: {'yes' if IS_COMPILED else 'no'}"
