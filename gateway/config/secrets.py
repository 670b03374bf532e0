"""Values from elsewhere: `${NAME}` in strings, and secret references `{source, provider, id}`.

OpenClaw's syntax. References to commands (`exec`) and to its own store are refused: this gateway runs no programs for
secrets. Values are never logged.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import pyjson5
from pydantic import Field

from gateway.config.problems import Problem, join
from gateway.config.section import Section
from gateway.core.paths import user_path

_VARIABLE = re.compile(r"(\$?)\$\{([A-Z_][A-Z0-9_]*)(?::-([^${}]*))?\}")
_FOREIGN = re.compile(
    r"\s*(?:\$?\{(?:env:|env\.|secret:|process\.env\.)(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|(?:\$|env:|process\.env\.)(?P<bare>[A-Z][A-Z0-9_]{2,})|%(?P<percent>[A-Z][A-Z0-9_]{2,})%)\s*"
)
_OWN_SECRETS = "gateway.auth."
_SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PAT)")
_NAMED_KEY = re.compile(r"[A-Z][A-Z0-9_]{2,}")
_MAX_BYTES = 1024 * 1024


class Missing:
    """Stands for a value that can't be resolved; its key is left out."""


MISSING: Final = Missing()


class SecretProviderConfig(Section):
    """One entry of `secrets.providers`."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({
        "allowInsecurePath", "allowSymlinkCommand", "args", "command", "env", "jsonOnly", "maxBytes", "maxOutputBytes",
        "noOutputTimeoutMs", "passEnv", "pluginIntegration", "timeoutMs", "trustedDirs",
    })  # fmt: skip

    source: Literal["env", "file", "exec", "store"]
    path: str | None = None
    mode: Literal["json", "singleValue"] = "json"
    allowlist: tuple[str, ...] | None = None


class SecretDefaults(Section):
    """The provider of references that name none."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({"exec", "store"})

    env: str = "default"
    file: str = "default"


class SecretsConfig(Section):
    """`secrets`: the sources of references."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({"egressProxy", "resolution"})

    providers: dict[str, SecretProviderConfig] = Field(default_factory=dict)
    defaults: SecretDefaults = SecretDefaults()


def is_reference(value: object) -> bool:
    """Whether `value` is a secret reference."""
    return isinstance(value, dict) and {"source", "id"} <= value.keys() <= {"source", "provider", "id"}


@dataclass(slots=True)
class Resolver:
    """Resolves values. One that can't be resolved is reported in `problems` and returned as MISSING.

    Paths of secret files are relative to `directory`, that of the configuration file. `files` gets those that are read,
    `absent` why values can't be had that some parts work without, by path, and `warnings` texts that only look like
    references.
    """

    env: Mapping[str, str]
    directory: Path
    secrets: SecretsConfig = field(default_factory=SecretsConfig)
    problems: list[Problem] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)
    absent: dict[str, str] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)

    def resolve(self, value: Any, path: str) -> Any:
        """`value` with everything inside it resolved."""
        if isinstance(value, str):
            return self._text(value, path)
        if is_reference(value):
            return self._reference(value, path)
        if isinstance(value, dict):
            pairs = ((key, self.resolve(item, join(path, key))) for key, item in value.items())
            return {key: item for key, item in pairs if item is not MISSING}
        if isinstance(value, list):
            items = (self.resolve(item, join(path, index)) for index, item in enumerate(value))
            return [item for item in items if item is not MISSING]
        return value

    def key(self, value: str) -> str:
        """A provider key written as the bare name of an environment variable that is set (as in OpenClaw)."""
        return self.env.get(value) or value if _NAMED_KEY.fullmatch(value) else value

    def is_unset_name(self, value: str) -> bool:
        """Whether a provider key looks like the name of a variable that is not set."""
        return bool(_SECRET_NAME.fullmatch(value)) and not self.env.get(value)

    def _text(self, text: str, path: str) -> str | Missing:
        absent = [match[2] for match in _VARIABLE.finditer(text) if not self._is_set(match)]
        if absent:
            names = ", ".join(dict.fromkeys(absent))
            return self._absent(
                path, f"environment variable {names} is not set", f"set it, or write ${{{absent[0]}:-value}}"
            )
        if foreign := _FOREIGN.fullmatch(text):
            name = foreign["braced"] or foreign["bare"] or foreign["percent"]
            problem = Problem(path, f"is no reference to an environment variable; write ${{{name}}}")
            if path.startswith(_OWN_SECRETS):  # everybody could guess it
                self.problems.append(problem)
                return MISSING
            self.warnings.append(problem)
        return _VARIABLE.sub(self._replacement, text)

    def _is_set(self, match: re.Match[str]) -> bool:
        return bool(match[1] or self.env.get(match[2]) or match[3] is not None)

    def _replacement(self, match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return self.env.get(match[2]) or match[3] or ""

    def _reference(self, reference: dict[str, Any], path: str) -> str | Missing:
        source, name = reference["source"], reference["id"]
        if source not in ("env", "file"):
            return self._absent(path, f'secret references to "{source}" are not supported', 'use "env" or "file"')
        defaults = self.secrets.defaults
        alias = reference.get("provider") or (defaults.env if source == "env" else defaults.file)
        provider = self.secrets.providers.get(alias)
        if provider is not None and provider.source != source:
            return self._fail(path, f"secrets.providers.{alias} is not of source {source}; name one that is")
        if source == "file":
            return self._from_file(provider, alias, str(name), path)
        if provider is not None and provider.allowlist is not None and name not in provider.allowlist:
            return self._fail(path, f"{name} is not in secrets.providers.{alias}.allowlist; add it there")
        if value := self.env.get(str(name)):
            return value
        return self._absent(path, f"environment variable {name} is not set", "set it")

    def _from_file(self, provider: SecretProviderConfig | None, alias: str, pointer: str, path: str) -> str | Missing:
        if provider is None or provider.path is None:
            return self._fail(path, f"there is no secrets.providers.{alias} with a path; add it")
        file = self.directory / user_path(provider.path)
        self.files.add(file)
        try:
            if file.stat().st_size > _MAX_BYTES:
                return self._fail(path, f"secret file {file} is larger than 1 MB")
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return self._fail(path, f"secret file {file} can't be read; check that it exists and its permissions")
        if provider.mode == "singleValue":
            return text.strip() or self._fail(path, f"secret file {file} is empty; write the secret into it")
        return self._at_pointer(text, pointer, path, file)

    def _at_pointer(self, text: str, pointer: str, path: str, file: Path) -> str | Missing:
        """The string at a JSON pointer (RFC 6901)."""
        try:
            value = pyjson5.decode(text)
        except pyjson5.Json5Exception:
            return self._fail(path, f"secret file {file} is not valid JSON")
        for part in pointer.removeprefix("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and pointer.startswith("/"):
            return value
        return self._fail(path, f'secret file {file} has no string at "{pointer}"; an id looks like /providers/openai')

    def _absent(self, path: str, reason: str, remedy: str) -> Missing:
        self.absent[path] = reason
        return self._fail(path, f"{reason}; {remedy}")

    def _fail(self, path: str, text: str) -> Missing:
        self.problems.append(Problem(path, text))
        return MISSING
