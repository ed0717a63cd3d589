"""The contract as OpenAPI 3.1, made from the route table and the types of its bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from geoengine.catalog.reading.keys import said
from geoengine.service.context import JSON
from geoengine.service.http import wire
from geoengine.service.http.ndjson import CONTENT_TYPE as NDJSON
from geoengine.service.http.problems import CONTENT_TYPE, KINDS, ProblemDocument
from geoengine.service.routes.table import Route

Document = dict[str, Any]

REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
# What a parameter is, where its type says nothing of it.
_MEANT = {
    "by": "What the figures are split by.",
    "code": "A code as typed, or all a QR code says.",
    "credit": "Which of several messages a visit is credited to.",
    "device_id": "The app's own name for a device.",
    "limit": "How many, at the most.",
    "order_id": "The shop's own name for an order.",
    "person_id": "A customer id, or the device where nobody is known.",
    "pool_id": "The name under which codes were uploaded.",
    "purpose": "What is consented to.",
    "redemption_id": "The till's own name for a redemption.",
    "start": "Where the page before left off: its `next`.",
    "status": "Only rows that stand so.",
    "store_id": "A store of the catalogue.",
    "suffix": "svg or png.",
    "token": "What stands in the link that was sent.",
    "trigger_id": "As the event `geoengine.trigger.fired` says it.",
}
_NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 128}


def document(routes: Sequence[Route]) -> Document:
    """The whole contract."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    schema_of = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "geoengine",
            "version": version("geoengine"),
            "summary": "Geofencing, proximity and drive-to-store triggers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _problem(status) for status in _statuses()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of kind app, gateway or server.",
                }
            },
        },
    }


def _types(routes: Sequence[Route]) -> list[Any]:
    found: dict[str, Any] = {str(ProblemDocument): ProblemDocument, str(wire.Purpose): wire.Purpose}
    for route in routes:
        for shape in (route.takes, route.gives, route.query):
            if shape is not None:
                found[str(shape)] = shape
    return list(found.values())


def _operation(route: Route, schema_of: dict[str, Document]) -> Document:
    summary = (route.handler.__doc__ or "").strip().split("\n")[0]
    kinds = " or ".join(sorted(route.who))
    told: Document = {
        "operationId": route.handler.__name__,
        "summary": summary,
        "description": "Takes no key." if route.is_public else f"Takes a key of kind {kinds}.",
        "security": [] if route.is_public else [{"key": sorted(route.who)}],
        "parameters": _path_parameters(route, schema_of) + _query_parameters(route),
        "responses": _responses(route, schema_of),
    }
    if route.takes is not None:
        told["requestBody"] = _body(route, schema_of[str(route.takes)])
    return told


def _path_parameters(route: Route, schema_of: dict[str, Document]) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _MEANT.get(name, ""),
            "schema": schema_of[str(wire.Purpose)] if name == "purpose" else _NAME_SCHEMA,
        }
        for name in _PARAMETER.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[Document]:
    if route.query is None:
        return []
    (_, components) = msgspec.json.schema_components([route.query], ref_template=REF)
    shape = components[route.query.__name__]
    needed = shape.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": said(schema, components) or _MEANT.get(name, ""),
            "schema": schema,
        }
        for name, schema in shape["properties"].items()
    ]


def _body(route: Route, schema: Document) -> Document:
    if not route.is_rows:
        return {"required": True, "content": {JSON: {"schema": schema}}}
    rows = {"oneOf": [schema, {"type": "array", "items": schema}]}
    return {
        "required": True,
        "description": "One row, an array of rows, or one row a line; told apart by content. Lines "
        "may be of any number: who accepts lines is told of them line by line.",
        "content": {JSON: {"schema": rows}, NDJSON: {"schema": {"type": "string"}}},
    }


def _responses(route: Route, schema_of: dict[str, Document]) -> Document:
    if route.is_upgrade:
        done: Document = {
            "101": {"description": "A WebSocket: docs/streaming.md says what is said."}
        }
        return done | _refusals(route)
    if route.is_redirect:
        moved: Document = {"302": {"description": "It is where `Location` says."}}
        return moved | _refusals(route)
    schema = {"type": "string"} if route.gives is None else schema_of[str(route.gives)]
    media_type = route.media_type.partition(";")[0]
    told: Document = {"200": {"description": "Done.", "content": {media_type: {"schema": schema}}}}
    if route.lines is not None:
        told["200"]["content"][NDJSON] = {"schema": {"type": "string"}}
    told |= _refusals(route)
    if route.gives is wire.Health:
        told["503"] = {"description": "Not now.", "content": {JSON: {"schema": schema}}}
    return told


def _refusals(route: Route) -> Document:
    return {
        str(status): {"$ref": f"#/components/responses/{status}"}
        for status in sorted(_problems(route))
    }


def _problems(route: Route) -> set[int]:
    found = {400, *route.problems}
    if not route.is_public:
        found |= {401, 403}
    if route.takes is not None:
        found |= {408, 413, 415}
    if "{person_id}" in route.path:
        found.add(404)
    return found


def _statuses() -> list[int]:
    return sorted({status for status, _ in KINDS.values()})


def _problem(status: int) -> Document:
    titles = [title for known, title in KINDS.values() if known == status]
    told: Document = {
        "description": "; or: ".join(titles) + ".",
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(name="ProblemDocument")}}},
    }
    if status in (429, 503):
        told["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
        }
    return told
