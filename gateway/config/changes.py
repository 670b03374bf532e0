"""What a changed configuration may change while the gateway runs, and what needs a restart."""

from typing import Any

from gateway.config.problems import Problem
from gateway.config.root import Config
from gateway.core.errors import ConfigError

NEEDS_RESTART = (
    "gateway.port",
    "gateway.bind",
    "gateway.customBindHost",
    "gateway.auth.mode",
    "gateway.auth.rateLimit",
    "gateway.tls.enabled",
    "gateway.tls.certPath",
    "gateway.tls.keyPath",
    "gateway.tls.caPath",
    "gateway.redis",
    "gateway.state",
    "gateway.ledger",
    "gateway.metrics",
    "logging.requests",
    "diagnostics",
    "session.maintenance",
    "session.maxBytes",
)
"""Keys whose values stay those of the start. All others take effect with the next request."""


def applicable(running: Config, wanted: Config) -> tuple[Config, tuple[str, ...]]:
    """`wanted` as far as it can take effect now, and the keys that need a restart for theirs.

    Those keep their values of `running`, and so does all of `gateway.auth` while its mode differs: the secrets of one
    mode are not those of another. Raises ConfigError where callers would be locked out because the only secret is gone.
    """
    auth = running.gateway.auth
    waiting = tuple(key for key in NEEDS_RESTART if _value(running, key) != _value(wanted, key))
    if "gateway.auth.mode" in waiting:
        wanted = _replaced(wanted, ("gateway", "auth"), auth)
    elif wanted.gateway.auth.generated:
        if not auth.generated:
            text = "is no longer set, so every caller would be refused; set it, or restart to go on without one"
            raise ConfigError((str(Problem("gateway.auth.token", text)),))
        wanted = _replaced(wanted, ("gateway", "auth", "token"), auth.token)
    for key in waiting:
        wanted = _replaced(wanted, _fields(running, key), _value(running, key))
    return wanted, waiting


def _value(section: Any, key: str) -> Any:
    for name in _fields(section, key):
        section = getattr(section, name)
    return section


def _fields(section: Any, key: str) -> tuple[str, ...]:
    """The names of the attributes on the way to a key of the file."""
    names = []
    for part in key.split("."):
        fields = type(section).model_fields
        (name,) = (name for name, field in fields.items() if part in (name, field.alias))
        names.append(name)
        section = getattr(section, name)
    return tuple(names)


def _replaced(section: Any, names: tuple[str, ...], value: Any) -> Any:
    name, *further = names
    inner = _replaced(getattr(section, name), tuple(further), value) if further else value
    return section.model_copy(update={name: inner})
