"""The file and the environment → a checked `Config`: read, walk, validate, apply the rules; every problem is told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config import accepted, document, references
from gateway.config.agents import gathered
from gateway.config.auth import GeneratedToken
from gateway.config.environment import config_file, fill, state_directory, with_file_variables
from gateway.config.problems import Problem, from_pydantic, unreported
from gateway.config.root import Config
from gateway.config.rules import RULES, mode_is_explicit, without_effect
from gateway.config.secrets import Resolver, SecretsConfig
from gateway.config.shape import nearest, unknown, walk
from gateway.config.starter import new_token
from gateway.core.errors import ConfigError

_SERVED = frozenset(name for name in Config.model_fields)
_BESIDES = frozenset({"env", "secrets"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it came from.

    `ignored` names top-level sections that this gateway does not serve; `warnings` are sentences about what works less
    than it says; `env` is the environment with the file's own `env` section below it.
    """

    config: Config
    path: Path
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    state_directory: Path = field(default_factory=Path)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


def load(
    path: Path | None,
    env: Mapping[str, str],
    *,
    catalogue: Collection[str] | None = None,
    port: int | None = None,
    bind: str | None = None,
) -> Loaded:
    """Load the file at `path`, at `OPENCLAW_CONFIG_PATH`, or `openclaw.json` in the state directory.

    Without a file in the last place everything has its default. `catalogue` holds the ids of built-in providers; `port`
    and `bind` come from the command line and win. Raises ConfigError with every problem found.
    """
    file = config_file(path, env)
    usual = path is None and not env.get("OPENCLAW_CONFIG_PATH")
    tree = {} if usual and not file.exists() else document.read(file, env)
    ours, ignored, problems = _sections(tree)
    variables = ours.pop("env", None)
    if isinstance(variables, dict) and "shellEnv" in variables:
        ignored = (*ignored, "env.shellEnv")
    everywhere, more = with_file_variables(env, variables)
    problems += more
    resolver = Resolver(everywhere, file.parent)
    resolver.secrets = _secrets(ours.pop("secrets", {}), resolver)
    clean = walk(ours, Config, "", resolver)
    _name_keys(clean, resolver)
    if isinstance(clean.get("agents"), dict):
        # Here already, so that what is said about an agent names a path that is in the tree.
        clean["agents"] = gathered(clean["agents"])
    problems += unreported(resolver.problems, problems)
    problems += fill(clean, everywhere, port, bind)
    config = _checked(clean, problems, catalogue)
    warned = [str(warning) for warning in (*references.warnings(config, catalogue), *without_effect(config))]
    return Loaded(_settled(config), file, ignored, tuple(warned), state_directory(env), everywhere)


def _sections(tree: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], list[Problem]]:
    """Ours, the names of those that are not, and a problem for each that looks like a misspelling of ours."""
    ours: dict[str, Any] = {}
    ignored: list[str] = []
    problems: list[Problem] = []
    for name, section in tree.items():
        if name in _SERVED or name in _BESIDES:
            ours[name] = section
        elif name in accepted.TOP_LEVEL:
            ignored.append(name)
        elif name not in accepted.BOOKKEEPING:
            if nearest(name, _SERVED, cutoff=0.75):
                problems.append(unknown(name, _SERVED))
            else:
                ignored.append(name)
    return ours, tuple(ignored), problems


def _secrets(section: Any, resolver: Resolver) -> SecretsConfig:
    if section is None:
        return SecretsConfig()
    tree = walk(section, SecretsConfig, "secrets", resolver) if isinstance(section, dict) else section
    try:
        return SecretsConfig.model_validate(tree)
    except ValidationError as error:
        resolver.problems += from_pydantic(error, tree, "secrets")
        return SecretsConfig()


def _name_keys(tree: dict[str, Any], resolver: Resolver) -> None:
    models = tree.get("models")
    providers = models.get("providers") if isinstance(models, dict) else None
    for provider in providers.values() if isinstance(providers, dict) else ():
        if isinstance(provider, dict) and isinstance(provider.get("apiKey"), str):
            provider["apiKey"] = resolver.key(provider["apiKey"])


def _checked(tree: dict[str, Any], problems: list[Problem], catalogue: Collection[str] | None) -> Config:
    """The value, or ConfigError with `problems` and all that pydantic and the rules add to them."""
    config, refused = _validated(tree)
    problems += unreported(refused, problems)
    found = [problem for rule in RULES for problem in rule(config)]
    # Names can't be judged when what they refer to has been left out.
    if not any(problem.path.startswith(("agents", "models")) for problem in refused):
        found += references.check(config, catalogue)
    problems += unreported(found, problems)
    if problems:
        raise ConfigError(tuple(str(problem) for problem in problems))
    return config


def _validated(tree: dict[str, Any]) -> tuple[Config, list[Problem]]:
    """The configuration and what was refused; refused values are left out, so that the rules still see the rest."""
    try:
        return Config.model_validate(tree), []
    except ValidationError as error:
        refused = from_pydantic(error, tree)
        for detail in error.errors(include_url=False, include_input=False):
            _leave_out(tree, detail["loc"])
    return Config.model_validate(tree), refused


def _leave_out(tree: Any, loc: tuple[int | str, ...]) -> None:
    for part, following in zip(loc, (*loc[1:], None), strict=True):
        if part not in tree:
            return
        if not isinstance(tree[part], dict) or following not in tree[part]:
            del tree[part]
            return
        tree = tree[part]


def _settled(config: Config) -> Config:
    """The mode in force, and a token that nobody knows when there is none (recorded)."""
    auth = config.gateway.auth
    mode = auth.mode
    if not mode_is_explicit(auth) and auth.token is None and auth.password is not None:
        mode = "password"
    token = auth.token
    if mode == "token" and token is None:
        token = GeneratedToken(new_token())
    settled = auth.model_copy(update={"mode": mode, "token": token})
    return config.model_copy(update={"gateway": config.gateway.model_copy(update={"auth": settled})})
