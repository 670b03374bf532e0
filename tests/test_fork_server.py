"""Gateways of tests are forked from one that has imported all; what belongs to one process is made anew in each."""

import ast
import re
from pathlib import Path

from tests.fork_server import OF_A_PROCESS, ROOT

DRAWS = re.compile(r"(secrets|time|random|uuid|os)\.\w+\(|getpid\(|urandom\(|getrandbits\(")


def drawn_at_import(path: Path) -> list[tuple[str, str]]:
    """The module's names whose values are random, or of the process or the time of the import."""
    source = path.read_text(encoding="utf-8")
    if DRAWS.search(source) is None:
        return []
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return [
        (module, ast.unparse(node.targets[0]))
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and DRAWS.search(ast.unparse(node.value))
    ]


def test_all_that_an_import_draws_is_made_anew_in_each_process():
    drawn = [name for path in sorted((ROOT / "gateway").rglob("*.py")) for name in drawn_at_import(path)]
    assert drawn == sorted(OF_A_PROCESS)
