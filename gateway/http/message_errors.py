"""Errors of the Messages API, with the id of their request."""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import GatewayError
from gateway.http.routes import ErrorForm
from gateway.observe.context import REQUEST_ID
from gateway.wire.anthropic_messages.error_body import error_body, error_status, may_retry


def messages_error_body(error: GatewayError) -> dict[str, Any]:
    """The body of an error of the request that the current task serves."""
    return error_body(error, REQUEST_ID.get())


def messages_error_headers(error: GatewayError) -> Mapping[str, str]:
    """The headers of an error, with Anthropic's own that says whether to try again."""
    return {**error.headers, "x-should-retry": "true" if may_retry(error) else "false"}


MESSAGES_ERRORS = ErrorForm(messages_error_body, error_status, messages_error_headers)
