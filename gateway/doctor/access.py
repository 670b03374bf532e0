"""Checks of who gets in, and of secrets in the configuration file."""

import stat
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from gateway.access.secret_strength import is_unguessable
from gateway.config import document
from gateway.config.problems import join
from gateway.config.secret_values import secret_values
from gateway.core.errors import ConfigError
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup

_MIN_SECRET = 6  # characters; a shorter one may equal a word of the file


def check_access(setup: Setup) -> Iterator[Finding]:
    """The owner's secret, expired keys, an open metrics port, and soft budgets that nobody hears of."""
    if setup.valid is None:
        return
    gateway = setup.valid.loaded.config.gateway
    yield from _check_secret(setup)
    for name, key in gateway.keys.items():
        if key.expires is not None and key.expires <= setup.machine.now():
            path = join("gateway.keys", name)
            when = datetime.fromtimestamp(key.expires, UTC).isoformat()
            yield Finding("key.expired", f"{path} expired at {when}", f"remove {path}, or set {path}.expires later")
    metrics = gateway.metrics
    if metrics.enabled and metrics.port is not None and metrics.bind == "lan":
        seen = f"gateway.metrics listens on port {metrics.port} of every interface, and asks for no credential"
        yield Finding("metrics.open", seen, 'set gateway.metrics.bind to "loopback", or remove gateway.metrics.port')
    if gateway.budget_alerts.url is None:
        for index, budget in enumerate(gateway.budgets):
            if not budget.hard:
                seen = f"{join('gateway.budgets', index)} only warns, and gateway.budgetAlerts has no url"
                yield Finding("budget.no-alerts", seen, "set gateway.budgetAlerts.url and gateway.budgetAlerts.secret")


def _check_secret(setup: Setup) -> Iterator[Finding]:
    if setup.valid is None:
        return
    auth = setup.valid.loaded.config.gateway.auth
    if auth.generated:
        fix = "run openclaw-gateway token, and set OPENCLAW_GATEWAY_TOKEN to what it prints"
        yield Finding("auth.no-token", "no token is configured", fix)
        return
    for mode, secret in (("token", auth.token), ("password", auth.password)):
        if auth.mode == mode and secret is not None and not is_unguessable(secret.get_secret_value()):
            fix = f"run openclaw-gateway token, and set gateway.auth.{mode} or OPENCLAW_GATEWAY_{mode.upper()} to it"
            seen = f"gateway.auth.{mode} does not look like 128 random bits"
            yield Finding("auth.weak-secret", seen, fix)


def check_plain_text(setup: Setup) -> Iterator[Finding]:
    """Secrets that the configuration file or a file that it includes holds as plain text."""
    if setup.valid is None or not setup.file.exists():
        return
    secrets = {value for value in secret_values(setup.valid.loaded.config) if len(value) >= _MIN_SECRET}
    try:
        tree = document.read(setup.file, setup.env)
    except ConfigError:
        return  # it has changed since it was loaded
    for path in _paths_of(tree, secrets, ""):
        if path == "gateway.auth.token" and _is_own_file(setup):
            continue
        name = path.rpartition(".")[2]
        fix = f'put it into {setup.state / ".env"} as NAME=…, and write {name}: "${{NAME}}" in {setup.file}'
        yield Finding("secret.plain-text", f"{path} is a secret in plain text", fix)


def _is_own_file(setup: Setup) -> bool:
    """Whether it is the file that a first start writes with a new token: it and its directory are the owner's alone."""
    is_private = not stat.S_IMODE(setup.file.stat().st_mode) & 0o077
    return is_private and setup.file == setup.state / "openclaw.json"


def _paths_of(value: Any, secrets: Collection[str], path: str) -> Iterator[str]:
    """The paths of strings that are, or hold, one of the secrets."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths_of(item, secrets, join(path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths_of(item, secrets, join(path, index))
    elif isinstance(value, str) and any(secret in value for secret in secrets):
        yield path
