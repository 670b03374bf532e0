"""Duplicate keys of a JSON5 text, compared with what the parser itself makes of generated texts."""

import json
from typing import Any

import pyjson5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.duplicates import Duplicate, duplicates
from gateway.config.load import load


def paths(text: str) -> list[str]:
    return [one.path for one in duplicates(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: 1, b: {a: 2}, c: [{a: 1}, {a: 2}]}", []),
        ("{a: 1, 'a': 2, \"a\": 3}", ["a", "a"]),
        ("{gateway: {port: 1, /* port: 2 */ auth: {}, // port: 3\n port: 4}}", ["gateway.port"]),
        ("{a: [1, [2, {x: 1, x: 2}]], }", ["a[1][1].x"]),
        (r"{a: 1, \u0061: 2, 'b': 1, '\x62': 2}", ["a", "b"]),
        ("{a: 'a: 1, a: 2', b: \"{\\\"a\\\": 1, 'a': 2\", c: '\\'', d: 'x\\\ny', e: '// \"'}", []),
        ("{'odd name': 1, 'odd name': 2, '': 1, '': 2}", ['["odd name"]', '[""]']),
        ("{a: {b: 1}, a: {b: 1, b: 2}}", ["a", "a.b"]),
        ("{a: null, b: +Infinity, c: .5, d: -0xF, a: NaN}", ["a"]),
        ("{\ufeffa: 1,\u00a0a: 2,\u2028a: 3}", ["a", "a"]),
        ("{a: 1, // a comment that ends here\u2028a: 2}", ["a"]),
        ("{'': 1, \"'\": 2, '\"': 3}", []),
        ("[]", []),
        ("'{a: 1, a: 2}'", []),
    ],
)
def test_keys_that_an_object_has_twice_are_named_by_path(text, expected):
    pyjson5.decode(text)
    assert paths(text) == expected


def test_the_lines_are_those_of_the_first_and_of_the_repeated_key():
    assert list(duplicates("{\n a: 1,\n b: 2,\n\n a: 3}")) == [Duplicate("a", 2, 5)]


NAMES = st.text("ab\"'\\{}[]:,/*\n\u00e9 ", max_size=3)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), NAMES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=4).map(lambda pairs: ("object", pairs))
    ),
    max_leaves=12,
)


def written(tree: Any, pick: Any) -> str:
    """A text of the tree, whose objects are lists of pairs, with random quotes, comments and trailing commas."""
    space = pick(["", " ", "\n", "// {\"a\": 'a'\n", "/* a: */"])
    if isinstance(tree, tuple):
        members = ",".join(f"{space}{quoted(name, pick)}{space}:{written(item, pick)}" for name, item in tree[1])
        return f"{{{members}{pick(['', ',']) if members else ''}}}{space}"
    if isinstance(tree, list):
        return f"{space}[{','.join(written(item, pick) for item in tree)}]"
    return space + (quoted(tree, pick) if isinstance(tree, str) else json.dumps(tree))


def quoted(text: str, pick: Any) -> str:
    double = json.dumps(text)
    return pick([double, f"'{double[1:-1].replace(chr(92) + chr(34), chr(34)).replace(chr(39), chr(92) + chr(39))}'"])


def repeated(tree: Any) -> int:
    """How many pairs have a name that their object has had before."""
    if isinstance(tree, tuple):
        names = [name for name, _ in tree[1]]
        return len(names) - len(set(names)) + sum(repeated(item) for _, item in tree[1])
    return sum(map(repeated, tree)) if isinstance(tree, list) else 0


@given(TREES, st.data())
def test_every_repetition_of_any_text_is_named_and_nothing_else(tree, data):
    text = written(tree, lambda options: data.draw(st.sampled_from(options)))
    pyjson5.decode(text)
    assert len(paths(text)) == repeated(tree)


def test_a_configuration_with_a_duplicate_key_loads_and_says_which_one_counts(tmp_path):
    file = tmp_path / "gateway.json5"
    (tmp_path / "part.json5").write_text("{port: 1,\nport: 18800}", encoding="utf-8")
    file.write_text("{gateway: {$include: 'part.json5'},\nlogging: {}, logging: {level: 'warn'}}", encoding="utf-8")
    loaded = load(file, {"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert (loaded.config.gateway.port, loaded.config.logging.level) == (18800, "warn")
    assert [(one.path, one.text.partition(",")[0]) for one in loaded.warnings] == [
        ("logging", f"appears in line 2 and again in line 2 of {file}"),
        ("port", f"appears in line 1 and again in line 2 of {tmp_path / 'part.json5'}"),
    ]
