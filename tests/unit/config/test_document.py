from pathlib import Path

import pytest

from gateway.config.document import read
from gateway.core.errors import ConfigError


def problem(file: Path, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(file, env or {})
    (text,) = caught.value.problems
    return text


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_json5_is_understood(tmp_path: Path):
    file = put(tmp_path, "c.json", "\ufeff// comment\n{a: 'x', /* c */ b: 0x10, c: [1, 2,],}")
    assert read(file, {}) == {"a": "x", "b": 16, "c": [1, 2]}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("{\n  a: 1\n  b: 2\n}", "3:3"),
        ("{\n  a: ,\n}", "2:6"),
        ('{"a": 01}', "1:8"),
        ("{a: 1}\n\nx", "3:1"),
        ("{\n  a: [1, 2", "2:6"),
        ("", "1:1"),
    ],
)
def test_a_syntax_error_names_line_and_column(tmp_path: Path, text: str, position: str):
    file = put(tmp_path, "c.json", text)
    assert problem(file).startswith(f"{file}:{position}: ")


def test_a_syntax_error_shows_nothing_of_the_file(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        read(put(tmp_path, "c.json", '{token: "pw-secret", x: }'), {})
    assert "pw-secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_endless_nesting_is_refused(tmp_path: Path):
    assert "nested too deeply" in problem(put(tmp_path, "c.json", "[" * 5000))


def test_a_file_without_an_object_is_refused(tmp_path: Path):
    assert "must hold one object" in problem(put(tmp_path, "c.json", "[]"))


def test_a_directory_is_refused(tmp_path: Path):
    assert "can't be read" in problem(tmp_path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path):
    file = tmp_path / "c.json"
    file.write_bytes(b"{a: '\xff'}")
    assert "is not UTF-8" in problem(file)


def test_a_huge_file_is_refused(tmp_path: Path):
    assert "larger than 2 MB" in problem(put(tmp_path, "c.json", " " * (2 * 1024 * 1024 + 1)))


def test_an_include_is_replaced_by_the_object_of_the_file(tmp_path: Path):
    put(tmp_path, "parts/agents.json5", "{entries: {$include: './entries.json5'}}")
    put(tmp_path, "parts/entries.json5", "{main: {}}")
    file = put(tmp_path, "c.json", "{gateway: {port: 1}, agents: {$include: 'parts/agents.json5'}}")
    assert read(file, {}) == {"gateway": {"port": 1}, "agents": {"entries": {"main": {}}}}


def test_includes_are_merged_in_order_and_keys_beside_them_win(tmp_path: Path):
    put(tmp_path, "a.json5", "{x: {one: 1, two: 1}, list: [1]}")
    put(tmp_path, "b.json5", "{x: {two: 2, three: 2}, list: [2]}")
    file = put(tmp_path, "c.json", "{s: {$include: ['a.json5', 'b.json5'], x: {three: 3}}}")
    assert read(file, {}) == {"s": {"x": {"one": 1, "two": 2, "three": 3}, "list": [2]}}


def test_an_included_list_replaces_the_object(tmp_path: Path):
    put(tmp_path, "a.json5", "[1, 2]")
    assert read(put(tmp_path, "c.json", "{s: {$include: 'a.json5'}}"), {}) == {"s": [1, 2]}


def test_an_include_from_elsewhere_needs_its_directory_to_be_allowed(tmp_path: Path):
    outside = put(tmp_path, "outside/a.json5", "{a: 1}")
    file = put(tmp_path, "inside/c.json", f"{{s: {{$include: '{outside}'}}}}")
    assert "OPENCLAW_INCLUDE_ROOTS" in problem(file)
    assert read(file, {"OPENCLAW_INCLUDE_ROOTS": str(outside.parent)}) == {"s": {"a": 1}}


def test_a_link_does_not_lead_an_include_outside(tmp_path: Path):
    outside = put(tmp_path, "outside/a.json5", "{a: 1}")
    file = put(tmp_path, "inside/c.json", "{s: {$include: 'link.json5'}}")
    (file.parent / "link.json5").symlink_to(outside)
    assert "leaves the configuration's directory" in problem(file)


def test_circular_includes_are_refused(tmp_path: Path):
    put(tmp_path, "a.json5", "{$include: 'b.json5'}")
    put(tmp_path, "b.json5", "{$include: 'a.json5'}")
    assert "includes itself" in problem(put(tmp_path, "c.json", "{s: {$include: 'a.json5'}}"))


def test_includes_end_at_ten_levels(tmp_path: Path):
    for level in range(12):
        put(tmp_path, f"{level}.json5", f"{{$include: '{level + 1}.json5'}}")
    assert "more than 10 deep" in problem(put(tmp_path, "c.json", "{s: {$include: '0.json5'}}"))


@pytest.mark.parametrize("name", ["7", "''", "['a', 7]", "'a\\0b'"])
def test_an_include_must_name_files(tmp_path: Path, name: str):
    put(tmp_path, "a", "{}")
    assert "must be a file name" in problem(put(tmp_path, "c.json", f"{{s: {{$include: {name}}}}}"))


def test_a_broken_include_names_its_own_file(tmp_path: Path):
    part = put(tmp_path, "a.json5", "{a: }")
    assert problem(put(tmp_path, "c.json", "{s: {$include: 'a.json5'}}")).startswith(f"{part}:1:5: ")
