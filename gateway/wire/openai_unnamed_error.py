"""Errors that a server sends at status 200 without the name `error`, in place of an answer or of a chunk.

vLLM's `{"object": "error", "message", "code"}`, FastAPI's `{"detail"}`, MiniMax's `base_resp`, and proxies with a
`message` and a `code`.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.upstream_error import UpstreamError
from gateway.wire.openai_error import error_in, status_of

_TEXTS = ("message", "detail", "msg", "error_msg", "error_message")
# https://platform.minimax.io/docs/api-reference/errorcode
_MINIMAX = {
    1001: "timeout",
    1002: "rate_limit_exceeded",
    1004: "invalid_api_key",
    1008: "insufficient_quota",
    1026: "content_filter",
    1027: "content_filter",
    1039: "rate_limit_exceeded",
    2049: "invalid_api_key",
}
_CODES = ("code", "status", "status_code", "error_code", "type")


def unnamed_error(document: bytes) -> UpstreamError | None:
    """The error that this JSON object is, or the first one in this array; None if there is none."""
    try:
        value = loads(document)
    except InvalidJSON:
        return None
    objects: Iterable[Any] = value if isinstance(value, list) else [value]
    return next((error for one in objects if isinstance(one, dict) and (error := _error(one)) is not None), None)


def _error(fields: dict[str, Any]) -> UpstreamError | None:
    if fields.get("choices"):
        return None
    if error := fields.get("error"):  # in an array, as Google's compatible endpoint reports all errors
        return error_in(error)
    base = fields.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        number = base["status_code"]
        code = _MINIMAX.get(number, number) if isinstance(number, int) else number
        return error_in({"message": base.get("status_msg"), "code": code})
    reason = next((text for name in _TEXTS if isinstance(text := fields.get(name), str | list) and text), None)
    says_so = fields.get("object") == "error" or "detail" in fields or any(fields.get(name) for name in _CODES)
    if reason is None or not says_so:
        return None
    code = next((code for name in _CODES if (code := status_of(fields.get(name)))), fields.get("code"))
    return error_in({"message": reason, "code": code, "type": fields.get("type")})
