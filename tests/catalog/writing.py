"""Catalogues written for a test, and what the loader says of them."""

from __future__ import annotations

import os
from pathlib import Path

from geoengine.catalog import Reading, read
from geoengine.core.errors import ConfigurationError

SHOP = """\
  - id: rivoli
    name: Maison Rivoli
    location: {lat: 48.8583, lon: 2.3470}
    tags: [fashion]
    beacons:
      - {id: door, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, minor: 1, place: entrance}
"""
STORES = f"stores:\n{SHOP}"
CAMPAIGN = """\
campaigns:
  - id: hello
    on: enter
    levers: [log]
    message: {fr: Bonjour}
"""


def write(directory: Path, files: dict[str, str]) -> Path:
    """Files of a catalogue, by name."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def reading(directory: Path, text: str = "", **files: str) -> Reading:
    """What the loader makes of one YAML text and files beside it (``stores__csv=...``)."""
    named = {name.replace("__", "."): content for name, content in files.items()}
    return read(write(directory, {"a.yaml": text, **named}))


def faults(directory: Path, text: str = "", **files: str) -> list[str]:
    """The faults of a catalogue as `line:column: what`; of files beside it with their name."""
    named = {name.replace("__", "."): content for name, content in files.items()}
    write(directory, {"a.yaml": text, **named})
    try:
        read(directory)
    except ConfigurationError as error:
        prefix = str(directory) + os.sep
        return [str(fault).removeprefix(prefix).removeprefix("a.yaml:") for fault in error.faults]
    return []


def campaign(*lines: str) -> str:
    """Stores and one campaign with these lines more; its first further line is line 13."""
    return STORES + CAMPAIGN + "".join(f"    {line}\n" for line in lines)


def store(*lines: str, location: str = "{lat: 48.87, lon: 2.33}") -> str:
    """A second store with these lines; its id is on line 8, its first further line is 11."""
    head = f"  - id: opera\n    name: Opéra\n    location: {location}\n"
    return STORES + head + "".join(f"    {line}\n" for line in lines)
