"""What no schema can say: names that the configuration defines, ids of what exists, and rules between fields.

Schemathesis loads this file on its own, in its own environment.
"""

import http.client
import json
import os
from typing import Any

import schemathesis

_HEADERS = {"Authorization": f"Bearer {os.environ['FUZZED_TOKEN']}", "Content-Type": "application/json"}


def _is_valid(case: Any) -> bool:
    return case.meta is None or case.meta.generation.mode.is_positive


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    """Address the agent that exists, create keys for it that have not expired, and name responses that exist."""
    body = case.body
    if not _is_valid(case):
        return case
    _name_what_exists(case)
    if not isinstance(body, dict):
        return case
    if isinstance(body.get("model"), str):
        body = {**body, "model": "openclaw"}
    known = {"agents": ["main"], "expires_at": "2999-01-01T00:00:00Z"}
    case.body = {**body, **{name: value for name, value in known.items() if body.get(name) is not None}}
    return case


def _name_what_exists(case: Any) -> None:
    """Give a valid request the id of a response in the background, which can be streamed again and cancelled."""
    query = dict(case.query or {})
    if case.path.startswith("/v1/responses/{id}"):
        made, _ = _ask("POST", "/v1/responses", {"model": "openclaw", "input": "hi", "background": True})
        case.path_parameters = {**case.path_parameters, "id": made["id"]}
        if query.get("after") is not None:
            query["after"] = _ask("GET", f"/v1/responses/{made['id']}/input_items")[0]["last_id"]
    elif case.path == "/api/v1/runs/{id}":
        _, request_id = _ask("POST", "/v1/responses", {"model": "openclaw", "input": "hi", "store": False})
        case.path_parameters = {**case.path_parameters, "id": request_id}
    elif case.path == "/api/v1/doctor" and query.get("only"):
        query["only"] = "config,redis"
    elif case.path == "/api/v1/sessions" and query.get("after") is not None:
        query["after"] = "1700000000.0:agent:main:main"
    elif case.path == "/v1/models" and (sides := [name for name in ("after_id", "before_id") if name in query]):
        # They exclude each other.
        query = {name: value for name, value in query.items() if name not in sides} | {sides[0]: "openclaw"}
    elif case.path == "/api/v1/usage" and query.get("by"):
        query["by"] = ",".join(dict.fromkeys(query["by"].split(",")))
    if case.query:
        case.query = query


def _ask(method: str, path: str, body: Any = None) -> tuple[Any, str]:
    """The answer and the id of its request."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["FUZZED_PORT"]), timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), _HEADERS)
        response = connection.getresponse()
        return json.load(response), response.headers["X-Request-ID"]
    finally:
        connection.close()


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Only bodies whose tools have different names, and whose `tool_choice`, `background` and `budget` can be met."""
    body = case.body
    if not _is_valid(case) or not isinstance(body, dict):
        return True
    if body.get("background") and body.get("store") is False:
        return False
    amounts = [*(body.get("limits") or {}).values(), (body.get("budget") or {}).get("tokens")]
    if any(isinstance(amount, float) for amount in amounts):
        return False  # 1.0 is an integer for a schema only
    if isinstance(budget := body.get("budget"), dict) and (budget.get("tokens") is None) == (budget.get("usd") is None):
        return False
    if body.get("functions") is not None or body.get("function_call") is not None:
        return False  # the older form of tools, which excludes the newer one
    tools, choice = body.get("tools"), body.get("tool_choice")
    names = [_name(tool) for tool in tools] if isinstance(tools, list) else []
    if len({name for _, name in names}) < len(names):
        return False
    if choice == "required":
        return bool(names)
    if isinstance(choice, dict) and choice.get("type") in ("auto", "none"):
        return True
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):  # of the Messages API
        own = [tool.get("name") for tool in tools or () if tool.get("type") in (None, "custom")]
        return choice.get("name") in own if choice["type"] == "tool" else bool(own)
    return not isinstance(choice, dict) or _name(choice) in names


def _name(entry: Any) -> tuple[str, str]:
    kind = entry.get("type") or "function"
    if kind not in ("function", "custom"):
        return kind, str(entry.get("name") or entry.get("mcp_server_name") or kind).strip()
    own = entry.get(kind)
    fields = own if isinstance(own, dict) else entry
    return kind, str(fields.get("name")).strip()
