"""Failures that a provider reports inside a 200: `response.failed`, an `error` event, an error object."""

from typing import Any

from gateway.core.upstream_error import UpstreamError
from gateway.wire.openai_error import error_in


def reported(error: Any) -> UpstreamError:
    """The failure in an error object; anything else is a failure without a reason."""
    return error_in(error if isinstance(error, dict | str) else {})
