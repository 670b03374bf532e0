"""What `serve` says once it serves: one log line, warnings, and to whoever sits at the terminal a first request."""

import sys

import structlog

from gateway.config.gateway import GatewayConfig
from gateway.config.load import Loaded

log = structlog.get_logger(__name__)


def announce(loaded: Loaded, host: str, *, first: bool, workers: int = 1) -> None:
    """Log that requests are served. `first`: a token has just been made, so show it and how to use it."""
    config = loaded.config
    log.info(
        "listening",
        host=host,
        port=config.gateway.port,
        auth=config.gateway.auth.mode,
        config=str(loaded.path),
        workers=workers,
    )
    if loaded.ignored:
        log.info("sections of the configuration that are not served here", sections=", ".join(loaded.ignored))
    for warning in loaded.warnings:
        log.warning(warning)
    if config.gateway.auth.generated:
        log.warning(
            "no token is configured: every request is refused. Set gateway.auth.token or OPENCLAW_GATEWAY_TOKEN"
        )
    elif first or sys.stdout.isatty():
        _greet(config.gateway)


def _greet(gateway: GatewayConfig) -> None:
    """How to make a first request; the token is shown to whoever sits at the terminal, never logged."""
    base = f"http://127.0.0.1:{gateway.port}/v1"
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    auth = f" -H 'Authorization: Bearer {secret.get_secret_value()}'" if secret else ""
    body = '{"model":"openclaw/default","messages":[{"role":"user","content":"hi"}]}'
    print(f"\n  API base   {base}")
    if secret:
        print(f"  API key    {secret.get_secret_value()}")
    print(f"  Try it     curl -sS {base}/chat/completions{auth} -H 'Content-Type: application/json' -d '{body}'\n")
    sys.stdout.flush()
