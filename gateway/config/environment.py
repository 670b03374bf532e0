"""What the process environment adds to the file: places, the port, and secrets that the file leaves out.

The file wins over the environment for secrets (recorded); the environment wins for the port (as in OpenClaw).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.config.problems import Problem, join

_FILLED = (
    (("gateway", "auth"), "token", "OPENCLAW_GATEWAY_TOKEN"),
    (("gateway", "auth"), "password", "OPENCLAW_GATEWAY_PASSWORD"),
    (("gateway", "redis"), "url", "OPENCLAW_REDIS_URL"),
)


def state_directory(env: Mapping[str, str]) -> Path:
    """Where state and the usual configuration file are kept: `OPENCLAW_STATE_DIR`, else `~/.openclaw-gateway`."""
    return Path(env.get("OPENCLAW_STATE_DIR") or "~/.openclaw-gateway").expanduser()


def config_file(path: Path | None, env: Mapping[str, str]) -> Path:
    """The configuration file meant: `path`, else `OPENCLAW_CONFIG_PATH`, else `openclaw.json` among the state."""
    named = path or env.get("OPENCLAW_CONFIG_PATH")
    return Path(named).expanduser() if named else state_directory(env) / "openclaw.json"


def with_file_variables(env: Mapping[str, str], section: Any) -> tuple[dict[str, str], list[Problem]]:
    """`env` with the file's own `env` section below it: `{vars: {NAME: "value"}}`, or names directly (OpenClaw)."""
    if section is None:
        return dict(env), []
    if not isinstance(section, dict):
        return dict(env), [Problem("env", "must be an object: { vars: { NAME: … } }")]
    direct = {name: value for name, value in section.items() if name not in ("vars", "shellEnv")}
    placed = [("env", name, value) for name, value in direct.items()]
    inner = section.get("vars", {})
    if not isinstance(inner, dict):
        return dict(env), [Problem("env.vars", "must be an object: { NAME: … }")]
    placed += [("env.vars", name, value) for name, value in inner.items()]
    problems = [
        Problem(join(path, name), "must be a string") for path, name, value in placed if not isinstance(value, str)
    ]
    found = {name: value for _, name, value in placed if isinstance(value, str)}
    return {**found, **{name: value for name, value in env.items() if value or name not in found}}, problems


def fill(tree: dict[str, Any], env: Mapping[str, str], port: int | None, bind: str | None) -> list[Problem]:
    """Put the environment's values into `tree` where it has none; `port` and `bind` come from the command line."""
    for path, key, variable in _FILLED:
        value = env.get(variable, "")
        section = _section(tree, path)
        if value.strip() and section is not None and key not in section:
            section[key] = value
    gateway = _section(tree, ("gateway",))
    if gateway is None:
        return []
    problems = []
    wanted = env.get("OPENCLAW_GATEWAY_PORT", "").strip()
    if wanted and port is None:
        if wanted.isdecimal():
            port = int(wanted)
        else:
            problems.append(Problem("OPENCLAW_GATEWAY_PORT", "must be a whole number"))
    if port is not None:
        gateway["port"] = port
    if bind is not None:
        gateway["bind"] = bind
    return problems


def _section(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The object at `path`, made if absent; None when something else stands there, which is refused later."""
    for key in path:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            return None
        tree = child
    return tree
