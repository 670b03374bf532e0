"""A JSON5 file as a tree of plain values, with its `$include`s replaced (OpenClaw's rules).

`gateway.config.shape` interprets the values.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyjson5

from gateway.config.duplicates import duplicates
from gateway.config.problems import Problem
from gateway.core.errors import ConfigError

_MAX_DEPTH = 10
_MAX_BYTES = 2 * 1024 * 1024
_MAX_DUPLICATES = 20  # of one file; who has more corrects these first
_OFFSET = re.compile(r"near (\d+)")


def read(
    file: Path, env: Mapping[str, str], files: set[Path] | None = None, warnings: list[Problem] | None = None
) -> dict[str, Any]:
    """The file's top-level object. Raises ConfigError naming file, line and column.

    Included files must be in the directory of `file` or below, or below a directory of `OPENCLAW_INCLUDE_ROOTS`. The
    paths of all of them are added to `files`, those of files that can't be read included. Keys that an object has more
    than once are added to `warnings`.
    """
    files = set() if files is None else files
    warnings = [] if warnings is None else warnings
    roots = [file.parent, *(Path(root) for root in env.get("OPENCLAW_INCLUDE_ROOTS", "").split(os.pathsep) if root)]
    reading = _Reading([root.resolve() for root in roots], files, warnings)
    tree = reading.included(reading.parsed(file), (file.resolve(),))
    if not isinstance(tree, dict):
        raise ConfigError((f"{file}: must hold one object: {{ … }}",))
    return tree


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of a file and of those that it includes: where they may be, where they were, what is odd in them."""

    roots: list[Path]
    files: set[Path]
    warnings: list[Problem]

    def parsed(self, file: Path) -> Any:
        """The content of one file. Raises ConfigError."""
        self.files.add(file)
        text = _text(file)
        value = _parsed(file, text)
        for one in islice(duplicates(text), _MAX_DUPLICATES):
            lines = f"appears in line {one.first} and again in line {one.last} of {file}"
            self.warnings.append(Problem(one.path, f"{lines}, and only the last one counts; remove the others"))
        return value

    def included(self, value: Any, chain: tuple[Path, ...]) -> Any:
        """`value` with every `{$include: file or files, …siblings}` replaced; siblings win over what is included.

        `chain` are the files that lead here, from the first.
        """
        if isinstance(value, list):
            return [self.included(item, chain) for item in value]
        if not isinstance(value, dict):
            return value
        siblings = {key: self.included(item, chain) for key, item in value.items() if key != "$include"}
        if "$include" not in value:
            return siblings
        names = value["$include"] if isinstance(value["$include"], list) else [value["$include"]]
        result: Any = {}
        for name in names:
            file = self._allowed(name, chain)
            result = _merged(result, self.included(self.parsed(file), (*chain, file)))
        return _merged(result, siblings) if siblings else result

    def _allowed(self, name: object, chain: tuple[Path, ...]) -> Path:
        here = chain[-1]
        if not isinstance(name, str) or not name or "\0" in name:
            raise ConfigError((f"{here}: $include must be a file name or a list of file names",))
        file = (here.parent / name).resolve()
        if not any(file.is_relative_to(root) for root in self.roots):
            advice = "move the file there, or name its directory in OPENCLAW_INCLUDE_ROOTS"
            raise ConfigError((f"{here}: $include of {name} leaves the configuration's directory; {advice}",))
        if file in chain:
            raise ConfigError((f"{here}: $include of {name} includes itself, directly or through other files",))
        if len(chain) > _MAX_DEPTH:
            raise ConfigError((f"{here}: $include of {name} is nested more than {_MAX_DEPTH} deep",))
        return file


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigError((f"{file}: is larger than 2 MB; split it with $include",))
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError((f"{file}: can't be read ({error.strerror})",)) from None
    except UnicodeDecodeError:
        raise ConfigError((f"{file}: is not UTF-8 text",)) from None


def _parsed(file: Path, text: str) -> Any:
    try:
        return pyjson5.decode(text)
    except pyjson5.Json5Exception as error:
        problem = f"{file}:{_position(text, error)}: {_explanation(error)}"
    # Raised outside the handler: the exception above holds the values parsed so far, secrets included.
    raise ConfigError((problem,))


def _position(text: str, error: pyjson5.Json5Exception) -> str:
    match = _OFFSET.search(str(error.args[0]))
    offset = min(int(match[1]) if match else 0, len(text))
    if isinstance(error, pyjson5.Json5ExtraData):
        # Its offset is that of the white space before the extra data.
        offset += len(text[offset:]) - len(text[offset:].lstrip()) + 1
    before = text[: max(offset - 1, 0)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _explanation(error: pyjson5.Json5Exception) -> str:
    match error:
        case pyjson5.Json5EOF():
            return "a bracket or string opened here is never closed, or the file is empty"
        case pyjson5.Json5ExtraData():
            return "there is text after the end of the configuration"
        case pyjson5.Json5NestingTooDeep():
            return "nested too deeply"
        case _:
            return "not valid JSON5; look for a missing comma, quote or value here or just before"


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: _merged(base[key], item) if key in base else item for key, item in over.items()}}
