"""What `serve` reports once it serves: a log line, warnings, and to a person at a terminal a first request to try."""

import sys

import structlog

from gateway.cli.api import base_url
from gateway.config.gateway import GatewayConfig
from gateway.validation import Valid

log = structlog.get_logger(__name__)


def announce(valid: Valid, host: str, *, first: bool, workers: int = 1) -> None:
    """Log that requests are served. `first`: a token was just generated, so print it and how to use it."""
    loaded, config = valid.loaded, valid.loaded.config
    log.info(
        "Listening",
        host=host,
        port=config.gateway.port,
        auth=config.gateway.auth.mode,
        config=str(loaded.path),
        workers=workers,
    )
    if loaded.ignored:
        log.info("Sections of the configuration are not served here and ignored", sections=", ".join(loaded.ignored))
    if loaded.inert:
        log.info("Keys of the configuration are accepted and have no effect", keys=", ".join(loaded.inert))
    for warning in valid.warnings:
        log.warning("A part of the configuration does not work", problem=warning)
    if config.gateway.auth.generated:
        log.warning(
            "No token is configured, so every request is refused: set gateway.auth.token or OPENCLAW_GATEWAY_TOKEN"
        )
    elif first or sys.stdout.isatty():
        _greet(config.gateway)


def _greet(gateway: GatewayConfig) -> None:
    """Print how to make a first request; the token is printed for the person at the terminal, never logged."""
    base = f"{base_url(gateway)}/v1"
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    auth = f" -H 'Authorization: Bearer {secret.get_secret_value()}'" if secret else ""
    body = '{"model":"openclaw/default","messages":[{"role":"user","content":"hi"}]}'
    print(f"\n  API base   {base}")
    if secret:
        print(f"  API key    {secret.get_secret_value()}")
    print(f"  Try it     curl -sS {base}/chat/completions{auth} -H 'Content-Type: application/json' -d '{body}'\n")
    sys.stdout.flush()
