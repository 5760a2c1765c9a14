"""The OpenAPI document, made from the routes that are served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.console.api.route import PREFIX, Route
from holdfast.console.api.routes import ROUTES
from holdfast.version import VERSION


def document() -> Mapping[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = PREFIX + re.sub(r"<(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Holdfast", "version": VERSION},
        "paths": paths,
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Needs a token of the role {route.role.word}, or of a later one.",
        "parameters": [
            *(_parameter(name, "path", "") for name in re.findall(r"<(\w+)>", route.path)),
            *(_parameter(name, "query", words) for name, words in route.query.items()),
            *(_parameter(name, "header", words) for name, words in route.headers.items()),
        ],
        "responses": {
            str(status): {"description": words, "content": _content(schema)}
            for status, (words, schema) in sorted(route.answers.items())
        },
    }
    if route.body is not None:
        required = bool(route.body["required"])
        found["requestBody"] = {"required": required, "content": _content(route.body)}
    return found


def _content(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, where: str, words: str) -> Mapping[str, Any]:
    found = {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}
    return {**found, "description": words} if words else found
