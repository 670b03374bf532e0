"""Failures that a provider reports inside a 200: `response.failed`, an `error` event, an error object."""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.openai_error import error_in

_TRY_AGAIN = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s|m)\b", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def reported(error: Any) -> UpstreamError:
    """The failure in an error object; anything else is a failure without a reason.

    There are no headers any more, so the time to wait is in the text.
    """
    failure = error_in(error if isinstance(error, dict | str) else {})
    hint = _TRY_AGAIN.search(failure.message)
    if hint is not None and failure.kind in (UpstreamKind.RATE_LIMITED, UpstreamKind.OVERLOADED):
        failure.retry_after = float(hint[1]) * _SECONDS[hint[2].lower()]
    return failure
