"""`.env` in the state directory: variables that the process does not have (as in OpenClaw)."""

import re
from collections.abc import Mapping
from pathlib import Path

from gateway.config.problems import Problem

_MAX_BYTES = 1024 * 1024
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*
    (?:'(?P<single>[^']*)'|`(?P<back>[^`]*)`|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^#\r\n]*))
    [ \t]*(?:\#[^\r\n]*)?\r?$""",
    re.MULTILINE | re.VERBOSE,
)


def with_state_variables(env: Mapping[str, str], state: Path) -> tuple[dict[str, str], list[Problem]]:
    """`env` over the variables of `.env` in the state directory, and a problem when that file can't be read."""
    file = state / ".env"
    if not file.is_file():
        return dict(env), []
    try:
        if file.stat().st_size > _MAX_BYTES:
            return dict(env), [Problem(str(file), "is larger than 1 MB; keep only variables in it")]
        variables = parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return dict(env), [Problem(str(file), f"can't be read ({reason}); correct it or remove it")]
    return {**variables, **{name: value for name, value in env.items() if value or name not in variables}}, []


def parse(text: str) -> dict[str, str]:
    r"""`NAME=value` lines as the dotenv package of Node.js reads them: quotes are removed, `\n` counts only in double
    quotes, a `#` starts a comment outside quotes, and nothing is expanded.
    """
    variables: dict[str, str] = {}
    for match in _LINE.finditer(text):
        if match["double"] is not None:
            value = match["double"].replace("\\n", "\n").replace("\\r", "\r").replace('\\"', '"')
        else:
            quoted = match["single"] if match["single"] is not None else match["back"]
            value = match["plain"].strip() if quoted is None else quoted
        variables[match["name"]] = value
    return variables


def rendered(variables: Mapping[str, str]) -> str:
    """The text of a file with these variables, one a line. Raises ValueError for a value with every kind of quote and a
    backslash.
    """
    lines = []
    for name, value in variables.items():
        quote = next((one for one in ("'", "`") if one not in value), '"')
        if quote == '"' and "\\" in value:
            raise ValueError(
                f"the value of {name} has quotes of every kind and a backslash, and can't be written to .env"
            )
        text = value.replace('"', '\\"') if quote == '"' else value
        lines.append(f"{name}={quote}{text}{quote}\n")
    return "".join(lines)
