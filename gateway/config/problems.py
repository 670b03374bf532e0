"""Problems of a configuration as sentences: the path of the key, what is wrong, what to do.

Translates pydantic's errors. They never quote a value, because any of them may be a secret.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_PLAIN = re.compile(r"[\w$-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct; `path` has JavaScript's form: `gateway.trustedProxies[0]`.

    `intended` is the path of the key that a misspelt one probably means.
    """

    path: str
    text: str
    intended: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def join(path: str, key: str | int) -> str:
    """The path of `key` inside `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _bound(words: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda context: f"must be {words} {context[key]}"


def _as_json(expected: str) -> str:
    return expected.replace("False", "false").replace("True", "true")


_TEXTS: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "missing": "is missing; add it",
    "literal_error": lambda context: f"must be {_as_json(context['expected'])}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "dict_type": "must be an object: { … }",
    "model_type": "must be an object: { … }",
    "model_attributes_type": "must be an object: { … }",
    "tuple_type": "must be a list: [ … ]",
    "value_error": lambda context: str(context["error"]),
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
}


def from_pydantic(error: ValidationError, tree: object, base: str = "") -> list[Problem]:
    """One problem per path in `tree`, the refused data, whose own path is `base`.

    The errors of the members of a union about one path are joined by "or".
    """
    texts: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        text = _TEXTS.get(detail["type"], detail["msg"])
        sentences = texts.setdefault(_path(detail["loc"], tree, base, missing=detail["type"] == "missing"), [])
        sentence = text if isinstance(text, str) else text(detail.get("ctx", {}))
        if sentence not in sentences:
            sentences.append(sentence)
    return [Problem(path, ", or ".join(sentences)) for path, sentences in texts.items()]


def _path(loc: tuple[int | str, ...], tree: Any, path: str, *, missing: bool) -> str:
    """The path of `loc`, without the names of union members and validators that pydantic puts into it."""
    for part in loc:
        inside = (isinstance(tree, dict) and part in tree) or (isinstance(tree, list) and isinstance(part, int))
        if inside:
            tree = tree[part]
        if inside or missing:
            path = join(path, part)
        if not inside:
            break
    return path


def unreported(problems: Iterable[Problem], reported: Iterable[Problem]) -> list[Problem]:
    """Those of `problems` whose path is neither the same as one of `reported`, nor inside or around it: one cause, one
    line.
    """
    paths = [path for problem in reported for path in (problem.path, problem.intended) if path]

    def related(one: str, other: str) -> bool:
        return one == other or one.startswith((f"{other}.", f"{other}["))

    return [new for new in problems if not any(related(new.path, old) or related(old, new.path) for old in paths)]
