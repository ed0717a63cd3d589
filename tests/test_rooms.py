"""Who may import whom: the walls of the house, walked."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "geoengine"
MAY_IMPORT = {
    "core": {"core"},
    "catalog": {"catalog", "core"},
    "roads": {"roads", "catalog", "core"},
    "ingest": {"ingest", "core"},
    "state": {"state", "core"},
    "levers": {"levers", "core"},
    "replay": {"replay", "core", "catalog", "ingest", "state", "levers"},
    "service": {"service", "core", "catalog", "ingest", "state", "levers", "replay"},
}
CORE_MAY_USE = {
    "__future__", "base64", "collections", "contextlib", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "itertools", "math", "re", "statistics", "string", "typing",
    "unicodedata", "urllib",
    "zoneinfo",
    "numpy", "shapely", "h3", "rtree", "pyproj", "msgspec", "opening_hours", "rule_engine",
}  # fmt: skip
ONLY_IN = {
    "apsw": {"state/embedded/shelf/connection.py"},
    "sqlite3": {"catalog/density/reading/geopackage.py"},  # other people's files, read-only
    "rasterio": {"catalog/density/reading/geotiff.py"},
    "redis": {"state/shared/line/wire.py"},
    "hiredis": {"state/shared/line/wire.py"},
    "aiomqtt": {"service/brokers/line.py"},
    "paho": {"service/brokers/line.py"},
    "nacl": {"ingest/clients/sealing.py"},
    "valhalla": {"roads/valhalla_worker.py"},
    "h3": {"core/space/cells.py"},
    "rtree": {"core/space/boxes.py"},
    "matplotlib": {"catalog/preview/picture.py", "catalog/preview/sheet.py"},
    "httpx2": {"levers/apns.py"},
    "jwt": {"levers/apns.py", "levers/google.py"},
    "aiosmtplib": {"levers/email/server.py"},
    "osmium": {"catalog/buildings/osm.py"},
}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports say where from in full"
            found |= {node.module or ""}
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = modules()
DEPENDENCIES = {name: imports(path) & MODULES.keys() - {name} for name, path in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_a_room_imports_only_from_the_rooms_it_may(name: str):
    room = name.split(".")[1] if "." in name else ""
    allowed = MAY_IMPORT.get(room)
    used = {found.split(".")[1] for found in DEPENDENCIES[name] if "." in found}
    assert allowed is None or used <= allowed


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("geoengine.core")])
def test_the_core_is_pure(name: str):
    outside = {found.split(".")[0] for found in imports(MODULES[name])} - {"geoengine"}
    assert outside <= CORE_MAY_USE


@pytest.mark.parametrize("library", ONLY_IN)
def test_what_touches_the_outside_is_imported_in_one_file(library: str):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES.values()
        if any(found.split(".")[0] == library for found in imports(path))
    }
    assert users <= ONLY_IN[library]


def test_the_clock_is_read_in_one_file():
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES.values()
        if any(
            isinstance(node, ast.Attribute)
            and node.attr in ("time", "time_ns", "now", "utcnow", "today")
            and isinstance(node.value, ast.Name)
            and node.value.id in ("time", "datetime", "date")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert readers <= {"service/clock.py"}


def test_imports_go_in_no_circle():
    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(DEPENDENCIES[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += DEPENDENCIES[name]
        return seen

    assert [name for name in MODULES if name in reached(name)] == []
