"""Reads what a configuration file and the environment say, before values are checked: sections, variables, secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config import accepted, document
from gateway.config.agents import gathered
from gateway.config.dotenv import with_state_variables
from gateway.config.environment import config_file, state_directory, with_file_variables
from gateway.config.problems import Problem, from_pydantic, join, unreported
from gateway.config.profile_store import stored_profiles, with_stored
from gateway.config.root import Config
from gateway.config.secrets import Resolver, SecretsConfig
from gateway.config.shape import Walk, nearest, unknown
from gateway.config.unset import leave_out_unneeded

_SERVED = frozenset(name for name in Config.model_fields)
_READ_SEPARATELY = frozenset({"env", "secrets"})


@dataclass(slots=True)
class Source:
    """What a file and the environment say, before values are checked; `tree` has the sections of `Config`."""

    tree: dict[str, Any]
    file: Path
    state: Path
    variables: Mapping[str, str]
    problems: list[Problem]
    warnings: tuple[Problem, ...]
    ignored: tuple[str, ...]
    inert: tuple[str, ...]


def read(path: Path | None, env: Mapping[str, str], files: set[Path], content: dict[str, Any] | None = None) -> Source:
    """Read the file, or take `content` for what it says. Raises ConfigError for a file that can't be parsed."""
    file = config_file(path, env)
    is_usual = path is None and not env.get("OPENCLAW_CONFIG_PATH")
    state = state_directory(env)
    files |= {file, state / ".env"}
    duplicates: list[Problem] = []
    if content is None:
        content = {} if is_usual and not file.exists() else document.read(file, env, files, duplicates)
    ours, ignored, problems = _sections(content)
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
    return Source(clean, file, state, variables, problems, tuple(warnings), ignored, walk.inert)


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
