"""A password for each device, worked out of one secret: nothing about devices has to be kept.

Who knows the secret can pair a phone without asking the service, and the service knows a password
again without having stored it. To take one phone's password back is to rename the device; another
secret takes back all.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from collections.abc import Mapping
from typing import Final

from geoengine.ingest.names import is_name
from geoengine.service.settings import SettingsError

SECRET_VARIABLE: Final = "GEOENGINE_DEVICE_SECRET"  # noqa: S105 - a name
PASSPHRASE_VARIABLE: Final = "GEOENGINE_OWNTRACKS_KEY"  # noqa: S105 - a name, too
SECRET_MIN: Final = 16  # characters; with a guessed secret every password is known
PASSWORD_CHARS: Final = 26  # of base32: 130 bits
_BETWEEN: Final = ":."  # a device's name and its password; neither occurs in a password


def device_password(secret: str, device_id: str) -> str:
    """The password of a device.

    >>> device_password("sixteen letters!", "jane-phone")
    'fzvc5qzzsxzuxvdulcsslzct36'
    """
    digest = hmac.digest(secret.encode(), b"device:" + device_id.encode(), "sha256")
    return b32encode(digest)[:PASSWORD_CHARS].decode().lower()


class Devices:
    """Knows devices by what they show: ``DEVICE:PASSWORD``, or ``DEVICE.PASSWORD`` where a colon is
    in the way.
    """

    def __init__(self, secret: str = "") -> None:
        self._secret = secret

    @property
    def have_passwords(self) -> bool:
        """Whether a secret is configured at all."""
        return bool(self._secret)

    def holder(self, token: str) -> str | None:
        """The device that a token is the password of; None for anything else."""
        device_id, between, password = (
            token[: -PASSWORD_CHARS - 1],
            token[-PASSWORD_CHARS - 1 : -PASSWORD_CHARS],
            token[-PASSWORD_CHARS:],
        )
        if not self._secret or between not in _BETWEEN or not is_name(device_id):
            return None
        expected = device_password(self._secret, device_id)
        is_right = hmac.compare_digest(expected.encode(), password.encode("utf-8", "replace"))
        return device_id if is_right else None


def devices_from(environ: Mapping[str, str]) -> Devices:
    """The devices of the environment. Raises `SettingsError` for a secret that can be guessed."""
    secret = environ.get(SECRET_VARIABLE, "")
    if 0 < len(secret) < SECRET_MIN:
        raise SettingsError(f"{SECRET_VARIABLE}: expected at least {SECRET_MIN} characters")
    return Devices(secret)
