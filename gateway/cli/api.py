"""Asks a running gateway: where it is by its configuration, and with its own credential."""

import json
import os
import ssl
import sys
import time
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from gateway.config.gateway import GatewayConfig
from gateway.config.load import load, readable_gateway
from gateway.core.errors import ConfigError
from gateway.core.jsonio import InvalidJSON, NotAnObject, loads
from gateway.core.printable import printable

_NEW_CERTIFICATE = 2.0  # seconds until a gateway has taken over a replaced certificate
_UNAUTHORIZED = (
    "; give this command the gateway's own token or password: --config FILE, OPENCLAW_GATEWAY_TOKEN or "
    "OPENCLAW_GATEWAY_PASSWORD"
)
_TIMEOUT = 60.0  # seconds; a reload may wait for tool servers


def gateway_to_ask(config: str | None) -> GatewayConfig:
    """The address and the credential of the running gateway, by the file `config` or the usual one.

    A file that is refused does not hide the gateway, which goes on with the last one that it accepted: what can still
    be read is enough to revoke a key. That is printed, because a credential in the file may be the wrong one by now.
    """
    path = Path(config) if config else None
    try:
        return load(path, os.environ).config.gateway
    except ConfigError as error:
        count = len(error.problems)
        print(
            f"The configuration is refused ({printable(error.problems[0])}"
            f"{f', and {count - 1} more' if count > 1 else ''}). The running gateway goes on with the last one that it "
            "accepted, and is asked with the port and the credential that can be read.",
            file=sys.stderr,
        )
        return readable_gateway(path, os.environ)


def base_url(gateway: GatewayConfig) -> str:
    """The gateway of this machine."""
    return f"{'https' if gateway.tls.enabled else 'http'}://127.0.0.1:{gateway.port}"


def chosen_url(given: str | None, gateway: GatewayConfig) -> str | None:
    """The gateway of `--url`, or that of this machine, without a slash at the end.

    Prints what is wrong and returns None if it is no URL of HTTP.
    """
    base = (given or base_url(gateway)).rstrip("/")
    if base.startswith(("http://", "https://")):
        return base
    print(f"--url: {base} is not an http(s) URL", file=sys.stderr)
    return None


def ask(
    method: str, url: str, gateway: GatewayConfig, *, body: object = None, timeout: float = _TIMEOUT
) -> dict[str, Any]:
    """The gateway's JSON; else `problem`, the status and what is wrong, with `code` and `message` of a gateway's error.

    `body` is sent as JSON.
    """
    headers = credential(gateway)
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  checked by the caller
    answer = _answer(request, url, gateway, timeout)
    if "CERTIFICATE_VERIFY_FAILED" in answer.get("problem", ""):
        time.sleep(_NEW_CERTIFICATE)  # the file may have been replaced just now
        answer = _answer(request, url, gateway, timeout)
    return answer


def credential(gateway: GatewayConfig) -> dict[str, str]:
    """The header with the configuration's own credential; empty without one. A generated token opens no gateway, and a
    wrong one would count as a failure.
    """
    if gateway.auth.generated:
        return {}
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    return {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: following it would send the credential to another host."""

    def redirect_request(self, *_: object) -> None:
        """See the base class."""


def open_url(request: urllib.request.Request, gateway: GatewayConfig, timeout: float) -> Any:
    """The response. The gateway of this machine is asked without a proxy, which would see the credential.

    Raises HTTPError, also for a redirect, URLError, OSError and HTTPException.
    """
    url = request.full_url
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=trust(gateway, url)),
        _NoRedirect(),
    ]
    if url.startswith(f"{base_url(gateway)}/"):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout)


def _answer(request: urllib.request.Request, url: str, gateway: GatewayConfig, timeout: float) -> dict[str, Any]:
    try:
        with open_url(request, gateway, timeout) as response:
            return answer_in(response.read())
    except InvalidJSON:
        return {"problem": f"what answers at {url} is no openclaw-gateway; check the port, or --url"}
    except HTTPError as error:
        body = error.read().decode("utf-8", "replace")
        return {"problem": problem_in(body, error.code), **_error_of(body)}
    except (URLError, OSError, HTTPException) as error:
        return {"problem": f"no gateway answers at {url}: {getattr(error, 'reason', error)}"}


def answer_in(body: bytes) -> dict[str, Any]:
    """The object that a gateway sent. Raises InvalidJSON for what only another program can have sent."""
    answer = loads(body)
    if not isinstance(answer, dict) or "object" not in answer:
        raise NotAnObject("not an answer of a gateway")
    return answer


def trust(gateway: GatewayConfig, url: str) -> ssl.SSLContext:
    """The certificates to trust at `url`: for the gateway of this machine exactly its own, because hardly any names a
    loopback address; else those of the system.
    """
    certificate = gateway.tls.cert_path
    if certificate is None or not url.startswith(f"{base_url(gateway)}/"):
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(Path(certificate).expanduser())
    return context


def problem_in(body: str, status: int) -> str:
    """The status, the message and the code of an error, the whole body if that is no error of a gateway."""
    error = _error_of(body)
    code = f" ({error['code']})" if error.get("code") else ""
    return f"{status} {error.get('message', body)}{code}{_UNAUTHORIZED if status == HTTPStatus.UNAUTHORIZED else ''}"


def _error_of(body: str) -> dict[str, Any]:
    try:
        error = loads(body.encode())["error"]
        return {"code": error["code"], "message": error["message"]}
    except (ValueError, LookupError, TypeError):
        return {}
