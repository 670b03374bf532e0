"""Makes an OpenClaw configuration one that the gateway serves, by what the gateway itself says is wrong with it.

Each problem of `gateway.validation` is repaired where that is safe: what can't be used is left out, never replaced by
something else. Settings that protect the gateway are not touched: a problem with one of them stays for the operator.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"""\.?(?P<name>[\w$-]+)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"]*)"\]""")
_PROBLEM = re.compile(r"""(?P<path>(?:\.?[\w$-]+|\[\d+\]|\["[^"]*"\])+): (?P<text>.*)""", re.DOTALL)
_UNSET = re.compile(r"environment variable ([\w, ]+) is not set")
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_][A-Z0-9_]*)\}")
_PROTECTING = (
    "gateway.auth",
    "gateway.bind",
    "gateway.customBindHost",
    "gateway.roles",
    "gateway.tls",
    "gateway.trustedProxies",
)
_TOKEN = ("gateway.auth.token", "gateway.auth.password")
_MAX_REPAIRS = 1000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: a path in the configuration, what became of it (`works`, `changed`, `left out`,
    `no effect`, `missing` or `needs you`), and why. It never quotes a secret.
    """

    path: str
    outcome: str
    text: str


def repaired(tree: dict[str, Any], problems_of: Callable[[dict[str, Any]], tuple[str, ...]]) -> Iterator[Finding]:
    """Repair `tree` in place until `problems_of` finds nothing more that can be repaired; one finding per repair.

    A last `needs you` for each problem that is left.
    """
    for _ in range(_MAX_REPAIRS):
        problems = reversed(problems_of(tree))  # the last item of a list first, so that paths are those of the file
        repair = next((finding for problem in problems if (finding := _repair(tree, problem))), None)
        if repair is None:
            break
        yield repair
    for problem in problems_of(tree):
        path, text = split(problem)
        yield Finding(path, "needs you", text)


def split(problem: str) -> tuple[str, str]:
    """Path and text of a problem; no path when it has none."""
    match = _PROBLEM.fullmatch(problem)
    return (match["path"], match["text"]) if match else ("", problem)


def parts_of(path: str) -> Path:
    """`models.providers["a b"].models[0]` → its keys and indices."""
    return tuple(
        int(match["index"]) if match["index"] else match["name"] or match["quoted"] or ""
        for match in _PART.finditer(path)
    )


def _repair(tree: dict[str, Any], problem: str) -> Finding | None:
    """Repair one problem; None when it can't be, and nothing was changed."""
    path, text = split(problem)
    parts = parts_of(path)
    if (unset := _UNSET.search(text)) and (finding := _without_variable(tree, parts, path, unset[1])):
        return finding
    if path not in _TOKEN and any(re.match(rf"{re.escape(key)}(?![\w-])", path) for key in _PROTECTING):
        return None
    if text.startswith("unknown key") or path.startswith(_TOKEN):
        return _left_out(tree, parts, path, text)
    if len(parts) == 1:  # a whole section is never left out for one mistake in it
        return None
    if parts[:2] == ("models", "providers") and len(parts) > 2:
        return _row_left_out(tree, parts, path, text)
    if parts[:1] == ("agents",) and "model" in parts:
        return _model_left_out(tree, parts, path, text)
    return _left_out(tree, parts, path, text)


def _without_variable(tree: Any, parts: Path, path: str, names: str) -> Finding | None:
    """A variable that is not set counts as empty, so that the rest works until it is set."""
    holder: Any = _at(tree, parts[:-1])
    value = _at(tree, parts)
    if isinstance(value, dict) and {"source", "id"} <= value.keys():
        value = f"${{{value['id']}}}"
    if not isinstance(value, str) or not _VARIABLE.search(value):
        return None
    holder[parts[-1]] = _VARIABLE.sub(r"${\1:-}", value)
    return Finding(path, "missing", f"environment variable {names} is not set; set it before the gateway starts")


def _row_left_out(tree: Any, parts: Path, path: str, text: str) -> Finding | None:
    """A row that can't be used goes as a whole: without one of its settings it would be called differently. Only a key
    that can't be read may be set later, and one of several models is left out alone.
    """
    if parts[3:4] in (("apiKey",), ("apiKeys",)) and "secret" in text:
        return _left_out(tree, parts, path, text)
    row = parts[:3]
    models = _at(tree, (*row, "models"))
    if parts[3:4] == ("models",) and len(parts) > 5 and isinstance(models, list) and len(models) > 1:
        return _left_out(tree, parts[:5], path, text)
    return _left_out(tree, row, path, text)


def _model_left_out(tree: Any, parts: Path, path: str, text: str) -> Finding | None:
    """A primary model that can't be asked gives way to the first fallback; without one, its agents go."""
    if "fallbacks" in parts:
        return _left_out(tree, parts, path, text)
    owner = _at(tree, parts[: parts.index("model")])
    choice = owner.get("model") if isinstance(owner, dict) else None
    if isinstance(choice, dict) and choice.get("primary") and choice.get("fallbacks"):
        choice["primary"], *choice["fallbacks"] = choice["fallbacks"]
        return Finding(path, "changed", f"{text}; its first fallback {choice['primary']!r} is asked instead")
    if choice is None:
        return _agents_left_out(tree)
    finding = _left_out(tree, parts[: parts.index("model") + 1], path, text)
    shared = _at(tree, ("agents", "defaults", "model"))
    if finding is not None and _primary(shared) and parts[1] != "defaults":
        return Finding(path, "changed", f"{text}; that of agents.defaults, {_primary(shared)!r}, is asked instead")
    return finding


def _primary(choice: Any) -> Any:
    return choice.get("primary") if isinstance(choice, dict) else choice


def _agents_left_out(tree: Any) -> Finding | None:
    """Agents without a model."""
    entries = _at(tree, ("agents", "entries"))
    without = [name for name, entry in entries.items() if not _has_model(entry)] if isinstance(entries, dict) else []
    if not without or len(without) == len(entries):
        return None
    for name in without:
        del entries[name]
    if tree["agents"].get("default") in without:
        del tree["agents"]["default"]
    names = ", ".join(without)
    return Finding("agents.entries", "left out", f"no model that the gateway can ask is left for: {names}")


def _has_model(entry: Any) -> bool:
    return bool(_primary(entry.get("model")) if isinstance(entry, dict) else None)


def _left_out(tree: Any, parts: Path, path: str, text: str) -> Finding | None:
    holder: Any = _at(tree, parts[:-1])
    if not parts or _at(holder, parts[-1:]) is None:
        return None
    del holder[parts[-1]]
    return Finding(path, "left out", text)


def _at(tree: Any, parts: Path) -> Any:
    """The value at a path; None where there is none."""
    for part in parts:
        inside = part in tree if isinstance(tree, dict) else isinstance(tree, list) and part in range(len(tree))
        if not inside:
            return None
        tree = tree[part]
    return tree
