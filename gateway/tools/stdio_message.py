"""One line of a program's output → the messages in it.

Programs cut text in the middle of a character, put a prefix before a message or write it over several lines. What can
be read is read. If an answer can't be read, its call must fail at once instead of waiting for its time limit, so its
id is searched for.
"""

import re
from typing import Any

from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from gateway.core.jsonio import InvalidJSON, loads_tolerant

RequestId = int | str

_VALUE = rb"""\s*:\s*(?:(-?[0-9]{1,18})|["']([^"'\\]{1,200})["'])"""
_ONLY_ID = re.compile(rb'\s*"id"' + _VALUE + rb"\s*,?\s*")
# Strings, also those of Python, and brackets. A string without an end goes to the end, so that the search is linear.
_PARTS = re.compile(
    rb"""["']id["'](?:""" + _VALUE + rb""")|"(?:[^"\\]|\\.)*(?:"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$)|[\[\]{}]""", re.DOTALL
)
_ANSWER_KEYS = ("result", "error", "jsonrpc")
_ANSWER_WORDS = re.compile(rb"""["'](?:result|error|jsonrpc)["']\s*:""")


class Unreadable(ValueError):
    """Output that is no message. `request` is the id of the call that it answers, None if it seems to answer none."""

    def __init__(self, reason: str, request: RequestId | None = None) -> None:
        super().__init__(reason)
        self.request = request


def read_line(line: bytes) -> list[SessionMessage | Unreadable]:
    """The messages of a line; several in a batch, one Unreadable for other output, such as a banner."""
    try:
        return [SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))]
    except ValueError:
        pass  # read more tolerantly below
    start = max(line.find(b"{"), 0)
    for text in (line, line[start:]) if start else (line,):
        try:
            value = _mended(loads_tolerant(text))
        except (InvalidJSON, RecursionError):
            continue
        return [_message(one) for one in (value if isinstance(value, list) and value else [value])]
    text = line.replace(b"\0", b"")  # of UTF-16
    if _ANSWER_WORDS.search(text):
        requests = _answered(text)
    else:
        match = _ONLY_ID.fullmatch(text)
        requests = [] if match is None else [_request(*match.groups())]
    return [Unreadable("it is not JSON in one line", request) for request in requests or (None,)]


def _message(value: Any) -> SessionMessage | Unreadable:
    if isinstance(value, dict) and isinstance(number := value.get("id"), float) and number.is_integer():
        value["id"] = int(number)  # some languages have one type of number only
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_python(value, by_name=False))
    except (ValueError, RecursionError):
        if not isinstance(value, dict) or "method" in value or not any(key in value for key in _ANSWER_KEYS):
            return Unreadable("it is no JSON-RPC message")
        request = value.get("id")
        usable = isinstance(request, int | str) and not isinstance(request, bool)
        return Unreadable("it is no valid JSON-RPC answer", request if usable else None)


def _mended(value: Any) -> Any:
    """The value with U+FFFD in place of halves of surrogate pairs."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _answered(text: bytes) -> list[RequestId]:
    """The ids of the calls that what seems to be one or more objects answers. Those within a result are others."""
    requests: list[RequestId] = []
    depth = 0
    for part in _PARTS.finditer(text, max(text.find(b"{"), 0)):
        number, name = part.groups()
        if number is not None or name is not None:
            if depth == 1:
                requests.append(_request(number, name))
        elif part[0] in b"[{":
            depth += 1
        elif part[0] in b"]}":
            depth -= 1
    return requests


def _request(number: bytes | None, name: bytes | None) -> RequestId:
    return int(number) if number is not None else (name or b"").decode("utf-8", "replace")
