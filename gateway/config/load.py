"""The file and the environment → a checked `Config`: read, walk, validate, apply the rules; report every problem."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config import references
from gateway.config.auth import GeneratedToken
from gateway.config.auth_rules import mode_is_explicit
from gateway.config.environment import enable, fill
from gateway.config.gateway import GatewayConfig
from gateway.config.problems import Problem, from_pydantic, unreported
from gateway.config.root import Config
from gateway.config.rules import RULES
from gateway.config.source import read
from gateway.config.starter import new_token
from gateway.core.errors import ConfigError

Check = Callable[[Config, Mapping[str, str]], Iterable[Problem]]
"""A rule of a higher layer: the configuration and the environment (with the file's `env`) → what is wrong."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it came from.

    `ignored` names top-level sections that this gateway does not serve; `inert` are paths of keys that the file sets
    and that have no effect; `env` is the environment with the file's own `env` section below it. `warnings` are about
    values that are left out, and duplicate keys.
    """

    config: Config
    path: Path
    ignored: tuple[str, ...] = ()
    inert: tuple[str, ...] = ()
    state_directory: Path = field(default_factory=Path)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()


def load(
    path: Path | None,
    env: Mapping[str, str],
    *,
    complete: Callable[[Config, Mapping[str, str]], Config] = lambda config, _env: config,
    checks: Sequence[Check] = (),
    port: int | None = None,
    bind: str | None = None,
    endpoints: Sequence[str] = (),
    files: set[Path] | None = None,
) -> Loaded:
    """Load the file at `path`, at `OPENCLAW_CONFIG_PATH`, or `openclaw.json` in the state directory.

    If the last one does not exist, everything has its default. `complete` fills in what the file leaves out, from its
    variables; `checks` are rules beside those of this package. `port` and `bind` come from the command line and win,
    and `endpoints` are enabled whatever the file says. The paths of all files that decide about the result are added to
    `files`, also before an error. Raises ConfigError with every problem.
    """
    source = read(path, env, set() if files is None else files)
    problems = source.problems
    problems += fill(source.tree, source.variables, port, bind)
    enable(source.tree, endpoints)
    config = _checked(
        source.tree,
        problems,
        lambda config: complete(config, source.variables),
        lambda config: [one for check in checks for one in check(config, source.variables)],
    )
    return Loaded(
        _settled(config), source.file, source.ignored, source.inert, source.state, source.variables, source.warnings
    )


def readable_gateway(path: Path | None, env: Mapping[str, str]) -> GatewayConfig:
    """The section `gateway` as far as it can be read in a file that `load` refuses: refused values are left out, and a
    file that is no JSON5 has no section. It is enough to ask a gateway that runs; never serve with it.
    """
    try:
        source = read(path, env, set())
    except ConfigError:
        source = read(path, env, set(), content={})
    section = source.tree.get("gateway")
    gateway = {} if not isinstance(section, dict) else section
    if not isinstance(gateway.get("auth"), dict):
        gateway.pop("auth", None)
    tree = {"gateway": gateway}
    fill(tree, source.variables, None, None)
    config, _ = _validated(tree)
    return _settled(config).gateway


def _checked(
    tree: dict[str, Any],
    problems: list[Problem],
    complete: Callable[[Config], Config],
    checks: Callable[[Config], Iterable[Problem]],
) -> Config:
    """The configuration, or ConfigError with `problems` and all that pydantic, the rules and the checks add to them."""
    config, refused = _validated(tree)
    config = complete(config)
    problems += unreported(refused, problems)
    more = [problem for rule in RULES for problem in rule(config)]
    # References to an agent or a provider can't be judged when it was left out as a whole.
    if not any(_lost_a_name(problem.path) for problem in refused):
        more += [*references.check(config), *checks(config)]
    problems += unreported(more, problems)
    if problems:
        raise ConfigError(tuple(str(problem) for problem in problems))
    return config


def _lost_a_name(path: str) -> bool:
    """Whether a refused value at `path` is `agents` or `models`, a table of names in it, or one of its entries."""
    return path.startswith(("agents", "models")) and path.count(".") <= 2 and not path.endswith(".model")


def _validated(tree: dict[str, Any]) -> tuple[Config, list[Problem]]:
    """The configuration and its refused values; those are left out, so that the rules still see the rest."""
    try:
        return Config.model_validate(tree), []
    except ValidationError as error:
        refused = from_pydantic(error, tree)
        gone: list[tuple[int | str, ...]] = []
        for detail in error.errors(include_url=False, include_input=False):
            loc = detail["loc"]
            if not any(loc[: len(one)] == one for one in gone):  # else another refused value has taken it with it
                gone.append(_leave_out(tree, loc))
    return Config.model_validate(tree), refused


def _leave_out(tree: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Delete the innermost part of objects that holds `loc`; returns its path."""
    for depth, (part, following) in enumerate(zip(loc, (*loc[1:], None), strict=True), start=1):
        if part not in tree:
            break
        if not isinstance(tree[part], dict) or following not in tree[part]:
            del tree[part]
            return loc[:depth]
        tree = tree[part]
    return loc


def _settled(config: Config) -> Config:
    """With the mode in force, and with a generated token, which no caller knows, if there is none (recorded)."""
    auth = config.gateway.auth
    mode = auth.mode
    if not mode_is_explicit(auth) and auth.token is None and auth.password is not None:
        mode = "password"
    token = auth.token
    if mode == "token" and token is None:
        token = GeneratedToken(new_token())
    settled = auth.model_copy(update={"mode": mode, "token": token})
    return config.model_copy(update={"gateway": config.gateway.model_copy(update={"auth": settled})})
