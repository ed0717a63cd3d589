"""How what campaigns did is measured."""

from __future__ import annotations

from geoengine.core.model.words import Spec


class MeasureSpec(Spec, frozen=True, kw_only=True):
    """What counts as an effect."""
