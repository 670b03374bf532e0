"""Asks the API of a running gateway with the configured secret, for the commands that operators type."""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError, URLError

from gateway.config.gateway import GatewayConfig

_TIMEOUT = 5.0  # seconds


def ask(method: str, url: str, gateway: GatewayConfig, body: object = None) -> dict[str, Any]:
    """The gateway's JSON, or `problem` and the error's `code`. The caller has checked that `url` is an http(s) URL."""
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        return {"problem": f"{error.code} {text}", "code": _code_of(text)}
    except (URLError, OSError) as error:
        return {"problem": f"no gateway answers at {url}: {error}"}


def _code_of(text: str) -> Any:
    try:
        return json.loads(text)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return None
