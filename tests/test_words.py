"""No identifier and no sentence of the code uses a word that was replaced by a standard term of the field."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RENAMED = ("gateway/config", "gateway/cli", "gateway/agents", "gateway/validation.py")
"""Packages that were renamed; add each further one."""

# In names: a name that is one of these words, or has it as a part between underscores.
NAMES = frozenset({
    "rests", "resting", "hopeless", "told", "said", "kept", "found", "longest", "patience", "hurry", "listed", "place",
    "speechless", "newcomers", "strangers", "farewell", "bury", "owe", "debts", "opened", "trail",
})  # fmt: skip
SENTENCES = re.compile(
    r"\b(told|tells?|whoever|who is|nobody|newcomers?|strangers?|speechless|patience|hurry|made up|as it stands)\b",
    re.IGNORECASE,
)
EXCEPTIONS = frozenset(
    {
        # Its names are those of packages that were not renamed yet.
        "gateway/cli/agent.py",
    }
)


def modules() -> Iterator[Path]:
    for name in RENAMED:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def defined(tree: ast.AST) -> Iterator[str]:
    """Names that the module defines: of functions, classes, parameters, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr


def retired_in(source: str) -> list[str]:
    names = {name for name in defined(ast.parse(source)) if NAMES & set(name.lower().strip("_").split("_"))}
    return [*sorted(names), *(match[0] for match in SENTENCES.finditer(source))]


@pytest.mark.parametrize("file", [str(path.relative_to(ROOT)) for path in modules()])
def test_no_module_uses_a_retired_word(file):
    if file not in EXCEPTIONS:
        assert retired_in((ROOT / file).read_text(encoding="utf-8")) == []


def test_retired_words_are_recognised():
    assert retired_in("def f(said_x):\n    self._kept = 1  # whoever was told\n") == [
        "_kept",
        "said_x",
        "whoever",
        "told",
    ]
    assert retired_in("def foundation(placement):\n    '''It is not found.'''\n") == []
