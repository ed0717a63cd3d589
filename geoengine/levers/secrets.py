"""Where credentials come from: a variable of the environment, or the file that it names.

What is wrong with one is told by the variable's name and never by its value, which may be half a
secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geoengine.core.model import SecretFrom


class CredentialError(ValueError):
    """A credential that is missing or unusable; the text names its variable and not its value."""


def secret(source: SecretFrom, environ: Mapping[str, str]) -> str:
    """A secret of one line. Raises `CredentialError` where there is none."""
    if text := environ.get(source.env, "").strip():
        return text
    raise CredentialError(f"{source.env} is not set")


def document(source: SecretFrom, environ: Mapping[str, str]) -> str:
    """A key or an account that is a text of its own: written in the variable, or in the file that
    it names. Raises `CredentialError` where there is none.
    """
    text = secret(source, environ)
    if text.startswith(("{", "-----BEGIN")):
        return text
    try:
        return Path(text).read_text("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise CredentialError(f"{source.env} names a file that cannot be read: {why}") from None
