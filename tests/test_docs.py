"""The pages' commands, options, configurations, make targets and links are valid."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS, PROGRAM
from gateway.core.errors import ConfigError
from gateway.validation import validated
from tests.certificates import Authority

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ratelimit" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_SHELLS = frozenset({"", "sh", "bash", "console", "shell"})


def fences(text: str, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(text) if language in languages]


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every simple command in shell blocks and in code within a sentence."""
    lines = [line for block in fences(text, *_SHELLS) for line in block.replace("\\\n", " ").splitlines()]
    for line in (*lines, *_INLINE.findall(_FENCE.sub("", text))):
        try:
            words = shlex.split(line.removeprefix("$ "), comments=True)
        except ValueError:
            continue  # an apostrophe: no command line
        command: list[str] = []
        for word in (*words, ";"):
            if word not in ("|", "&&", "||", ";", "&", ">"):
                command.append(word)
                continue
            if command:
                yield command
            command = []


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    import_module(f"gateway.cli.{name}").add_parser(subparsers := parser.add_subparsers())
    subparser: argparse.ArgumentParser = subparsers.choices[name]
    return subparser


def usage_of(parser: argparse.ArgumentParser) -> str:
    """The help of a command and of its actions."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return parser.format_help() + "".join(usage_of(one) for action in actions for one in action.choices.values())


def wrong_commands(text: str) -> list[str]:
    """Command lines of the program, or of make, that would be refused."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong = []
    for program, *words in command_lines(text):
        if program == "make":
            wrong += [f"make {word}" for word in words if "=" not in word and word not in targets]
        if program != PROGRAM:
            continue
        name = words[0] if words and not words[0].startswith("-") else "serve"
        if name not in COMMANDS:
            wrong.append(f"{PROGRAM} {name}")
            continue
        usage = usage_of(parser_of(name)) + "--version --help"
        options = (word.partition("=")[0] for word in words if word.startswith("-"))
        wrong += [f"{PROGRAM} {name} {option}" for option in options if not re.search(rf"{option}\b", usage)]
    return wrong


def problems_of(block: str, directory: Path) -> tuple[str, ...]:
    """The problems of a configuration on a page, with every variable that it names set, and its certificate there."""
    if "certPath" in block:
        Authority(directory).issue("tls")
        block = block.replace("/etc/gateway", str(directory))
    file = directory / "openclaw.json"
    file.write_text(block, encoding="utf-8")
    named = re.findall(r"\$\{([A-Z_]+)\}", block) + re.findall(r'id: "([A-Z_]+)"', block)
    try:
        loaded = validated(file, dict.fromkeys(named, _VALUE)).loaded
    except ConfigError as error:
        # Pages show parts of a configuration, often without the model.
        return tuple(
            problem for problem in error.problems if not problem.startswith("agents.defaults.model: is missing")
        )
    return (*(f"{key} is inert" for key in loaded.inert), *(f"{name} is ignored" for name in loaded.ignored))


_VALUE = "ocg_" + "a-value-for-the-pages".ljust(43, "0")  # any secret, also a client's key


@EVERY_PAGE
def test_every_command_on_a_page_is_one(page):
    assert wrong_commands(page.read_text(encoding="utf-8")) == []


@EVERY_PAGE
def test_every_configuration_on_a_page_loads(page, tmp_path):
    for block in fences(page.read_text(encoding="utf-8"), "json5"):
        assert problems_of(block, tmp_path) == (), block


@EVERY_PAGE
def test_every_json_on_a_page_is_json(page):
    for block in fences(page.read_text(encoding="utf-8"), "json"):
        json.loads(block)


@EVERY_PAGE
def test_every_link_within_the_project_leads_somewhere(page):
    links = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_wrong_commands_on_a_page_are_found():
    page = """
Use `make nonsense`, `make run ARGS="--port 1"`, or `openclaw-gateway check`.

```sh
openclaw-gateway --port 18789   # serve
openclaw-gateway dance | cat
$ openclaw-gateway check --config a.json5 && openclaw-gateway token --loud
```
"""
    assert wrong_commands(page) == ["openclaw-gateway dance", "openclaw-gateway token --loud", "make nonsense"]


def test_wrong_configurations_on_a_page_are_found(tmp_path):
    assert (
        problems_of(
            '{ gateway: { auth: { token: "${SECRET}" } }, agents: { defaults: { model: "openai/x" } } }', tmp_path
        )
        == ()
    )
    assert problems_of("{ gateway: { prot: 1 } }", tmp_path) != ()


def test_the_overview_of_the_commands_is_that_of_the_modules():
    modules = {path.stem for path in (ROOT / "gateway" / "cli").glob("*.py")}
    assert set(COMMANDS) <= modules
    assert all(parser_of(name).description for name in COMMANDS)


def test_the_readme_lists_every_command():
    rows = re.findall(rf"^\| `{PROGRAM}[^|]*", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(rf"`{PROGRAM} (\w+)", "".join(rows))) == set(COMMANDS)


def test_every_claim_about_security_names_a_proof_that_exists():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(("| --- |", "| claim |", "| what |"))
    ]
    assert len(rows) > 20
    for row in rows:
        proof = row.rstrip(" |").rpartition(" | ")[2]
        named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", proof)
        programs = re.findall(r"`python ([\w/]+\.py)`", proof)
        assert named or programs or "](" in proof or "python -m " in proof, row
        assert all((ROOT / program).is_file() for program in programs), row
        for file, test in named:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in source, f"{file}::{test}"
