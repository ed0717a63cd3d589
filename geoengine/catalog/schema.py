"""The JSON Schema that editors check the catalogue with, made from the nouns themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from geoengine.catalog.reading.imports import FLAT
from geoengine.catalog.reading.keys import explain
from geoengine.catalog.reading.shape import keys_of
from geoengine.core.model import Catalogue, Store, Zone

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FLATTENED = ("Reach", "Location", "PresenceSpec")  # whose keys are columns as well


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a file of the catalogue."""
    (_reference,), components = msgspec.json.schema_components(
        [Catalogue], ref_template="#/$defs/{name}"
    )
    explain(components)
    root = components.pop("Catalogue")
    for key, kind in (("stores", Store), ("zones", Zone)):
        name = f"{kind.__name__}Import"
        components[name] = _import_schema(key, kind, components)
        items = root["properties"][key]
        items["items"] = {"anyOf": [items["items"], {"$ref": f"#/$defs/{name}"}]}
    return {"$schema": DIALECT, **root, "$defs": components}


def _import_schema(
    key: str, kind: type[Store | Zone], components: dict[str, Any]
) -> dict[str, Any]:
    """`- import: FILE`, which no struct can express: its key is a word of Python's."""
    columns = sorted(FLAT[kind])
    defaults = sorted({*columns, *keys_of(kind)})
    shapes = [components[name]["properties"] for name in (kind.__name__, *_FLATTENED)]
    said = {name: shape[name]["description"] for shape in reversed(shapes) for name in shape}
    told = {name: {"description": said[name]} for name in defaults}
    return {
        "title": f"{kind.__name__}Import",
        "description": f"{key.capitalize()} by the thousand: a CSV, NDJSON or GeoJSON file.",
        "type": "object",
        "required": ["import"],
        "additionalProperties": False,
        "properties": {
            "import": {"type": "string", "description": "The file, beside the YAML."},
            "columns": {
                "type": "object",
                "description": "Our key: the file's column.",
                "properties": {column: {"type": "string", **told[column]} for column in columns},
                "additionalProperties": False,
            },
            "defaults": {
                "type": "object",
                "description": "Keys that hold for every row unless the row says otherwise.",
                "properties": told,
                "additionalProperties": False,
            },
        },
    }
