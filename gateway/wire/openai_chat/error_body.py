"""The body of an error response in OpenAI's form, which both of OpenAI's formats and our own routes share."""

from typing import Any

from gateway.core.errors import GatewayError, MissingScope


def error_body(error: GatewayError) -> dict[str, Any]:
    """OpenAI's error object (https://platform.openai.com/docs/guides/error-codes).

    A missing scope has the recorded outer form, of which OpenClaw's clients read `ok` and `details`.
    """
    if isinstance(error, MissingScope):
        details = {"code": "MISSING_SCOPE", "missingScope": error.scope, "requiredScopes": [error.scope]}
        return {"ok": False, "error": {"type": error.type, "message": error.message, "details": details}}
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
