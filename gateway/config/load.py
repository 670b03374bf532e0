"""The file and the environment → a checked `Config`: read, walk, validate, apply the rules; report every problem."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config import accepted, document, references
from gateway.config.agents import gathered
from gateway.config.auth import GeneratedToken
from gateway.config.auth_rules import mode_is_explicit
from gateway.config.dotenv import with_state_variables
from gateway.config.environment import config_file, enable, fill, state_directory, with_file_variables
from gateway.config.problems import Problem, from_pydantic, join, unreported
from gateway.config.profile_store import stored_profiles, with_stored
from gateway.config.root import Config
from gateway.config.rules import RULES
from gateway.config.secrets import Resolver, SecretsConfig
from gateway.config.shape import Walk, nearest, unknown
from gateway.config.starter import new_token
from gateway.config.unset import leave_out_unneeded
from gateway.core.errors import ConfigError

Check = Callable[[Config, Mapping[str, str]], Iterable[Problem]]
"""A rule of a higher layer: the configuration and the environment (with the file's `env`) → what is wrong."""

_SERVED = frozenset(name for name in Config.model_fields)
_READ_SEPARATELY = frozenset({"env", "secrets"})


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
    files = set() if files is None else files
    file = config_file(path, env)
    is_usual = path is None and not env.get("OPENCLAW_CONFIG_PATH")
    state = state_directory(env)
    files |= {file, state / ".env"}
    duplicates: list[Problem] = []
    tree = {} if is_usual and not file.exists() else document.read(file, env, files, duplicates)
    ours, ignored, problems = _sections(tree)
    variables = ours.pop("env", None)
    if isinstance(variables, dict) and "shellEnv" in variables:
        ignored = (*ignored, "env.shellEnv")
    env, more = with_state_variables(env, state)
    problems += more
    variables, more = with_file_variables(env, variables)
    problems += more
    stored, more = stored_profiles(state)
    problems += more
    ours["auth"] = with_stored(ours.get("auth"), stored)
    resolver = Resolver(variables, file.parent, files=files)
    walk = Walk(resolver)
    resolver.secrets = _secrets(ours.pop("secrets", {}), walk, resolver)
    clean = walk.section(ours, Config, "")
    warnings = [
        *duplicates,
        *resolver.warnings,
        *_resolve_key_names(clean, resolver),
        *leave_out_unneeded(clean, resolver),
    ]
    if isinstance(clean.get("agents"), dict):
        # Here already, so that problems of an agent name a path that is in the tree.
        clean["agents"] = gathered(clean["agents"])
    problems += unreported(resolver.problems, problems)
    problems += fill(clean, variables, port, bind)
    enable(clean, endpoints)
    config = _checked(
        clean,
        problems,
        lambda config: complete(config, variables),
        lambda config: [one for check in checks for one in check(config, variables)],
    )
    return Loaded(_settled(config), file, ignored, walk.inert, state, variables, tuple(warnings))


def _sections(tree: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], list[Problem]]:
    """Our sections, the names of all others, and a problem for each name that looks like a misspelling of ours."""
    ours: dict[str, Any] = {}
    ignored: list[str] = []
    problems: list[Problem] = []
    for name, section in tree.items():
        if name in _SERVED or name in _READ_SEPARATELY:
            ours[name] = section
        elif name in accepted.TOP_LEVEL:
            ignored.append(name)
        elif name not in accepted.BOOKKEEPING:
            if nearest(name, _SERVED, cutoff=0.75):
                problems.append(unknown(name, _SERVED))
            else:
                ignored.append(name)
    return ours, tuple(ignored), problems


def _secrets(section: Any, walk: Walk, resolver: Resolver) -> SecretsConfig:
    if section is None:
        return SecretsConfig()
    tree = walk.section(section, SecretsConfig, "secrets") if isinstance(section, dict) else section
    try:
        return SecretsConfig.model_validate(tree)
    except ValidationError as error:
        resolver.problems += from_pydantic(error, tree, "secrets")
        return SecretsConfig()


def _resolve_key_names(tree: dict[str, Any], resolver: Resolver) -> list[Problem]:
    """Replace each provider key that is the bare name of an environment variable; warnings about variables that are
    not set. Such a text is sent as it is: servers without keys accept any.
    """
    warnings = []
    models = tree.get("models")
    providers = models.get("providers") if isinstance(models, dict) else None
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        if isinstance(provider, dict) and isinstance(key := provider.get("apiKey"), str):
            provider["apiKey"] = resolver.key(key)
            if resolver.is_unset_name(key):
                text = "looks like the name of an environment variable that is not set, and is sent as the key itself"
                warnings.append(Problem(join(join("models.providers", name), "apiKey"), f"{text}; set the variable"))
    return warnings


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
