"""The OpenAPI document: every route with its path, scope and answers, bodies from the models that read them.

https://spec.openapis.org/oas/v3.1.1. A route that has no row in `operations` is described by its handler's docstring.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.core.errors import BadRequest, MissingScope
from gateway.http.operations import OPERATIONS, Operation, Parameter
from gateway.http.routes import Route

_PLACE = re.compile(r"{(\w+)(?::[^}]*)?}")
_JSON = "application/json"
_SSE = "text/event-stream"
_TITLE = "OpenClaw gateway"


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    models: set[type[msgspec.Struct]] = set()
    for route in routes:
        operation = OPERATIONS.get(route.handler, Operation())
        if operation.body is not None:
            models.add(operation.body)
        for path in route.paths:
            described = paths.setdefault(_PLACE.sub(r"{\1}", path), {})
            for method in route.methods:
                described[method.lower()] = _operation(route, method, path, operation)
    _, schemas = msgspec.json.schema_components(
        sorted(models, key=lambda model: model.__name__), ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.1",
        "info": {"title": _TITLE, "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": _ERROR, "MissingScope": _MISSING_SCOPE},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The gateway's token or password."}
            },
        },
    }


def _operation(route: Route, method: str, path: str, operation: Operation) -> dict[str, Any]:
    said = (route.handler.__doc__ or "").strip()
    names = _PLACE.findall(path)
    stem = route.handler.__name__ + ("" if path == route.paths[0] else re.sub(r"\W+", "_", path))
    described: dict[str, Any] = {
        "operationId": stem if method == route.methods[0] else f"{stem}_{method.lower()}",
        "summary": said.partition("\n")[0].rstrip("."),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *map(_parameter, operation.parameters),
        ],
        "responses": _answers(route, operation, known=bool(names) or bool(operation.body)),
    }
    if route.scope is not None:
        described["security"] = [{"bearer": []}]
        described["x-scope"] = str(route.scope)
    if operation.body is not None:
        schema = {"$ref": f"#/components/schemas/{operation.body.__name__}", "required": list(operation.needs)}
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    match parameter.among:
        case (int() as least, int() as most):
            schema |= {"minimum": least, "maximum": most}
        case (str(), *_):
            schema["enum"] = list(parameter.among)
        case _:
            pass
    described = {"name": parameter.name, "in": parameter.place, "schema": schema}
    return {**described, "description": parameter.said} if parameter.said else described


def _answers(route: Route, operation: Operation, *, known: bool) -> dict[str, Any]:
    content: dict[str, Any] = {operation.content: {"schema": operation.answer}}
    if operation.streams:
        content[_SSE] = {"schema": {"type": "string", "description": "Server-sent events, the last is `[DONE]`."}}
    answers: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if route.scope is None:
        return answers
    refusals = {
        "401": "No valid credential.",
        "429": "Too many wrong credentials, or a limit is reached.",
        "503": "The gateway is stopping, or what it keeps can't be reached just now.",
    }
    if operation.body is not None:
        refusals |= {"408": "The body did not come.", "409": "The conversation is in use."}
        refusals |= {"400": "The request can't be served as it stands.", "413": "The body is too large."}
        refusals |= {"502": "The provider failed.", "504": "The provider was silent for too long."}
    elif operation.parameters or known:
        refusals |= {"400": "The request can't be served as it stands."}
    if known:
        refusals |= {"404": "There is no such thing."}
    answers |= {status: _refusal(said, "Error") for status, said in sorted(refusals.items())}
    if known:  # a path that is spelled with escapes is none of ours
        answers["404"]["content"]["text/plain"] = {"schema": {"type": "string"}}
    answers["403"] = _refusal("The caller's scopes don't cover this.", "MissingScope")
    return answers


def _refusal(said: str, schema: str) -> dict[str, Any]:
    return {"description": said, "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def schema_of(example: Any) -> dict[str, Any]:
    """The shape of a value that the gateway makes, all of whose keys are always there; null may be anything."""
    match example:
        case None:
            return {}
        case bool():
            return {"type": "boolean"}
        case int() | float():
            return {"type": "number"}
        case dict():
            return {
                "type": "object",
                "required": sorted(example),
                "properties": {name: schema_of(value) for name, value in example.items()},
            }
        case list() | tuple():
            return {"type": "array"}
        case _:
            return {"type": "string"}


_ERROR = schema_of(BadRequest("what was wrong").payload())
_MISSING_SCOPE = schema_of(MissingScope("operator.write").payload())
