"""What people do with messages, as apps tell it."""

from __future__ import annotations

from msgspec import Struct

from geoengine.service.http.wire import Name


class OpenedBody(Struct, forbid_unknown_fields=True):
    """Which device it was opened on."""

    device_id: Name


class OpenedOut(Struct):
    """Whether it counts: not of people who did not agree to be measured."""

    trigger_id: str
    counted: bool
