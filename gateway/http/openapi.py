"""The OpenAPI document: every route with its path, scope and responses. The schemas come from the request models.

https://spec.openapis.org/oas/v3.1.1. A route without a row in `operations` is described by its handler's docstring.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.core.errors import BadRequest, MissingScope
from gateway.http.operations import OPERATIONS, Operation, Parameter
from gateway.http.request_schemas import refined
from gateway.http.routes import Route, error_status
from gateway.wire.anthropic_messages.error_body import error_body as anthropic_error_body
from gateway.wire.openai_chat.error_body import error_body

_PATH_PARAMETER = re.compile(r"{(\w+)(?::[^}]*)?}")
_JSON = "application/json"
_SSE = "text/event-stream"
_TITLE = "OpenClaw gateway"


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    models: set[type[msgspec.Struct]] = set()
    for route in routes:
        if route.upgrade:
            continue  # OpenAPI can't describe a WebSocket
        operation = OPERATIONS.get(route.handler, Operation())
        if operation.body is not None:
            models.add(operation.body)
        for path in route.paths:
            described = paths.setdefault(_PATH_PARAMETER.sub(r"{\1}", path), {})
            for method in route.all_methods:
                described[method.lower()] = _operation(route, method, path, operation)
    _, schemas = msgspec.json.schema_components(
        sorted(models, key=lambda model: model.__name__), ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.1",
        "info": {"title": _TITLE, "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {**refined(schemas), "Error": _ERROR, "MissingScope": _MISSING_SCOPE, **_own_errors(routes)},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The gateway's token or password, or a client's key.",
                },
                "clientKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A client's key."},
            },
        },
    }


def _operation(route: Route, method: str, path: str, operation: Operation) -> dict[str, Any]:
    docstring = (route.handler.__doc__ or "").strip()
    names = _PATH_PARAMETER.findall(path)
    stem = route.handler.__name__ + ("" if path == route.paths[0] else re.sub(r"\W+", "_", path))
    described: dict[str, Any] = {
        "operationId": stem if method == route.methods[0] else f"{stem}_{method.lower()}",
        "summary": docstring.partition("\n")[0].rstrip("."),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *map(_parameter, operation.parameters),
        ],
        "responses": _responses(route, operation, names),
    }
    if route.scope is not None:
        described["security"] = [{"bearer": []}, {"clientKey": []}]
        described["x-scope"] = str(route.scope)
    if operation.body is not None:
        schema = {"$ref": f"#/components/schemas/{operation.body.__name__}", "required": list(operation.required)}
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    match parameter.values:
        case (int() as minimum, int() as maximum):
            schema |= {"minimum": minimum, "maximum": maximum}
        case (str(), *_):
            schema["enum"] = list(parameter.values)
        case _:
            pass
    described: dict[str, Any] = {"name": parameter.name, "in": parameter.location, "schema": schema}
    if parameter.pattern:
        schema["pattern"] = parameter.pattern
    if parameter.required:
        described["required"] = True
        schema["minLength"] = 1
    return {**described, "description": parameter.description} if parameter.description else described


def _responses(route: Route, operation: Operation, names: list[str]) -> dict[str, Any]:
    """The responses by status. `names` are the parameters of the path."""
    has_object = bool(names) or operation.body is not None or operation.finds  # one that may not exist
    content: dict[str, Any] = {operation.content: {"schema": operation.answer}}
    content |= {text: {"schema": {"type": "string"}} for text in operation.texts}
    if operation.streams:
        content[_SSE] = {"schema": _EVENT}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if route.scope is None:
        return responses
    refusals = {
        "401": "No valid credential.",
        "429": "Too many wrong credentials, or a limit is reached.",
        "503": "The gateway is stopping, or its storage is unavailable.",
    }
    if operation.body is not None:
        refusals |= {"408": "The body did not arrive in time.", "409": "The conversation is in use."}
        refusals |= {"400": "The request is invalid.", "413": "The body is too large."}
        refusals |= {"502": "The provider failed.", "504": "The provider was silent for too long."}
    elif operation.parameters or has_object:
        refusals |= {"400": "The request is invalid."}
    if has_object:
        refusals |= {"404": "Not found."}
    own = _has_own_errors(route)
    if own:
        refusals["529"] = refusals.pop("503")
    elif route.errors_with:
        refusals["529"] = refusals["503"]
    schema = "AnthropicError" if own else "Error"
    others = ("AnthropicError",) if route.errors_with else ()
    responses |= {status: _refusal(description, schema, *others) for status, description in sorted(refusals.items())}
    if has_object:  # a path with escapes matches no route and gets a plain 404
        responses["404"]["content"]["text/plain"] = {"schema": {"type": "string"}}
    responses["403"] = _refusal("The caller lacks the required scope.", schema if own else "MissingScope", *others)
    if operation.body is not None:
        description = "The caller lacks the required scope, or its key may not use the agent."
        responses["403"] = _refusal(description, *((schema,) if own else ("MissingScope", "Error")))
    elif "name" in names:
        responses["409"] = _refusal("The configuration declares this.", "Error")
    return responses


def _has_own_errors(route: Route) -> bool:
    """Whether the errors of a route always have Anthropic's form."""
    return route.errors.status is not error_status


def _own_errors(routes: Iterable[Route]) -> dict[str, Any]:
    has_them = any(_has_own_errors(route) or route.errors_with for route in routes)
    return {"AnthropicError": _ANTHROPIC_ERROR} if has_them else {}


def _refusal(description: str, *names: str) -> dict[str, Any]:
    """A response with one of the named schemas."""
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return {"description": description, "content": {_JSON: {"schema": _one_of(schemas)}}}


def _one_of(schemas: list[dict[str, str]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def schema_of(example: Any) -> dict[str, Any]:
    """The schema of a value of the gateway. All keys are required; a null may be any value."""
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


_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "description": "One of the server-sent events; `data` is JSON, and `[DONE]` at the end of OpenAI's streams.",
}
_ERROR = schema_of(error_body(BadRequest("what was wrong")))
_MISSING_SCOPE = schema_of(error_body(MissingScope("operator.write")))
_ANTHROPIC_ERROR = schema_of(anthropic_error_body(BadRequest("what was wrong"), "id"))
