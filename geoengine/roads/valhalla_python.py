"""The interpreter that has Valhalla: ours, or one beside it.

The wheels of ``pyvalhalla`` need Python 3.12, we need 3.11; so it may live in an environment of its
own, and is only ever run in processes of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from geoengine.core.errors import RoadsError

VARIABLE = "GEOENGINE_VALHALLA_PYTHON"
HOW = f"""\
the wheels of pyvalhalla need Python 3.12 or newer. Either give it an environment of its own:
    python3.12 -m venv var/valhalla
    var/valhalla/bin/pip install pyvalhalla
    export {VARIABLE}=var/valhalla/bin/python
or run a Valhalla server and name it: `engine: {{roads: {{router: valhalla, url: http://…:8002}}}}`"""


def interpreter(environ: Mapping[str, str]) -> str:
    """The path of a Python that has it. Raises `RoadsError` that says how to get one."""
    named = environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise RoadsError(f"{VARIABLE} is {named}, where there is no file: {HOW}")
        return named
    if find_spec("valhalla") is None:
        raise RoadsError(f"no embedded Valhalla: {HOW}")
    return sys.executable


def environment(environ: Mapping[str, str], python: str) -> dict[str, str]:
    """What a process of that interpreter inherits: of another Python's packages nothing."""
    is_ours = python == sys.executable
    return {
        name: value
        for name, value in environ.items()
        if is_ours or not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
