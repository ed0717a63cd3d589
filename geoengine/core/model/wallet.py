"""Passes in people's wallets."""

from __future__ import annotations

from geoengine.core.model.words import Spec


class WalletSpec(Spec, frozen=True, kw_only=True):
    """Whose passes, signed by what."""
