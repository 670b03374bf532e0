"""What the process environment adds to the file: paths, the port, and secrets that the file does not set.

The file wins over the environment for secrets (recorded); the environment wins for the port (as in OpenClaw).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.config.problems import Problem, join
from gateway.config.secrets import MISSING, Resolver

_FILLED = (
    (("gateway", "auth"), "token", "OPENCLAW_GATEWAY_TOKEN"),
    (("gateway", "auth"), "password", "OPENCLAW_GATEWAY_PASSWORD"),
    (("gateway", "redis"), "url", "OPENCLAW_REDIS_URL"),
)


def state_directory(env: Mapping[str, str]) -> Path:
    """Directory of the state and the default configuration file: `OPENCLAW_STATE_DIR`, else `~/.openclaw-gateway`."""
    return Path(env.get("OPENCLAW_STATE_DIR") or "~/.openclaw-gateway").expanduser()


def config_file(path: Path | None, env: Mapping[str, str]) -> Path:
    """The configuration file: `path`, else `OPENCLAW_CONFIG_PATH`, else `openclaw.json` in the state directory."""
    named = path or env.get("OPENCLAW_CONFIG_PATH")
    return Path(named).expanduser() if named else state_directory(env) / "openclaw.json"


def with_file_variables(env: Mapping[str, str], section: Any) -> tuple[dict[str, str], list[Problem]]:
    """`env` over the file's `env` section, whose values may refer to `env`.

    The section is `{vars: {NAME: "value"}}`, or names directly (as in OpenClaw).
    """
    if section is None:
        return dict(env), []
    if not isinstance(section, dict):
        return dict(env), [Problem("env", "must be an object: { vars: { NAME: … } }")]
    direct = {name: value for name, value in section.items() if name not in ("vars", "shellEnv")}
    variables = [("env", name, value) for name, value in direct.items()]
    inner = section.get("vars", {})
    if not isinstance(inner, dict):
        return dict(env), [Problem("env.vars", "must be an object: { NAME: … }")]
    variables += [("env.vars", name, value) for name, value in inner.items()]
    problems = [
        Problem(join(path, name), "must be a string") for path, name, value in variables if not isinstance(value, str)
    ]
    # A reference to a variable that is not set leaves this one unset, too: its own text is no value.
    resolver = Resolver(env, Path())
    values = {name: resolver.resolve(value, name) for _, name, value in variables if isinstance(value, str)}
    texts = {name: value for name, value in values.items() if value is not MISSING}
    return {**texts, **{name: value for name, value in env.items() if value or name not in texts}}, problems


def fill(tree: dict[str, Any], env: Mapping[str, str], port: int | None, bind: str | None) -> list[Problem]:
    """Put values of the environment into `tree` where it has none; `port` and `bind` are those of the command line."""
    for path, key, variable in _FILLED:
        value = env.get(variable, "")
        section = _section(tree, path)
        if value.strip() and section is not None and key not in section:
            section[key] = value
    gateway = _section(tree, ("gateway",))
    if gateway is None:
        return []
    problems = []
    text = env.get("OPENCLAW_GATEWAY_PORT", "").strip()
    if text and port is None:
        if text.isdecimal():
            port = int(text)
        else:
            problems.append(Problem("OPENCLAW_GATEWAY_PORT", "must be a whole number"))
    if port is not None:
        gateway["port"] = port
    if bind is not None:
        gateway["bind"] = bind
    return problems


def enable(tree: dict[str, Any], endpoints: Iterable[str]) -> None:
    """Enable endpoints of `gateway.http.endpoints`, by their keys."""
    for name in endpoints:
        section = _section(tree, ("gateway", "http", "endpoints", name))
        if section is not None:
            section["enabled"] = True


def _section(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The object at `path`, created if absent; None if the value there is no object, which is refused later."""
    for key in path:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            return None
        tree = child
    return tree
