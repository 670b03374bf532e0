"""Completion in real shells: bash always, zsh and fish where they are installed."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gateway.cli.command_tree import command_tree
from gateway.cli.completion_scripts import SCRIPTS
from gateway.cli.main import COMMANDS, main

LINES = {
    "keys cr": ["create"],
    "keys create --budget-w": ["--budget-window"],
    "serve --bind l": ["loopback", "lan"],
    "serve --bind=l": ["loopback", "lan"],
    "--config serve keys r": ["revoke"],  # the value of an option may be a command's name
    "locks re": ["release"],
    "completion z": ["zsh"],
    "keys create --budget ": [],  # a number: nothing is known
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    files = {}
    for name, write in SCRIPTS.items():
        files[name] = folder / f"completion.{name}"
        files[name].write_text(write(command_tree()), encoding="utf-8")
    return files


def in_bash(script: Path, lines: list[str]) -> list[list[str]]:
    """What bash completes at the end of each line, without a terminal."""
    calls = []
    for line in lines:
        words = ["openclaw-gateway", *line.replace("=", " = ").split(" ")]
        calls.append(f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}")
        calls.append('_openclaw_gateway; printf "%s\\n" "${COMPREPLY[@]}" --end--')
    command = ["bash", "--noprofile", "--norc", "-c", "\n".join([f"source {script}", *calls])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [part.split() for part in done.stdout.split("--end--\n")[:-1]]


def test_bash_completes_commands_options_and_values(scripts):
    assert dict(zip(LINES, in_bash(scripts["bash"], list(LINES)), strict=True)) == LINES


def test_bash_offers_every_command_action_and_option(scripts):
    nodes = command_tree()
    offered = in_bash(scripts["bash"], [f"{node.name} ".lstrip() for node in nodes])
    for node, words in zip(nodes, offered, strict=True):
        expected = {word for word, _ in node.words} | {name for option in node.options for name in option.names}
        assert set(words) == expected, node.name
    assert set(COMMANDS) < set(offered[0])


@pytest.mark.parametrize("shell", [name for name in SCRIPTS if shutil.which(name)])
def test_a_shell_completes_what_is_typed(scripts, shell, tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "dumb", "PS1": "type> "}
    if shell == "fish":
        code = f"source {scripts[shell]}; complete -C 'openclaw-gateway keys cr'"
        done = subprocess.run([shell, "-N", "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.startswith("create\tmake a key")
    else:
        shown = typed(shell, scripts[shell], environment).replace(b" \x08", b"")  # zsh moves the cursor
        assert b"keys create --config XYZ" in shown


def typed(shell: str, script: Path, environment: dict[str, str]) -> bytes:
    """What an interactive shell shows for `keys cr`, tab, `--conf`, tab."""
    start = {"bash": ["--noprofile", "--norc", "-i"], "zsh": ["-f", "-i"]}[shell]
    setup = "autoload -U compinit && compinit -u; " if shell == "zsh" else ""
    terminal, own = pty.openpty()
    with subprocess.Popen(
        [shell, *start], stdin=own, stdout=own, stderr=own, env=environment, start_new_session=True
    ) as process:
        os.close(own)
        os.write(terminal, f"{setup}source {script}; echo re''ady\n".encode())
        _read_until(terminal, b"ready\r\n", b"type> ")
        os.write(terminal, b"openclaw-gateway keys cr\t--conf\tXYZ")
        shown = _read_until(terminal, b"XYZ")
        process.kill()
    os.close(terminal)
    return shown


def _read_until(terminal: int, *parts: bytes) -> bytes:
    """Read until these parts were written in this order."""
    data, deadline = b"", time.monotonic() + 30
    pattern = re.compile(b".*".join(map(re.escape, parts)), re.DOTALL)
    while not pattern.search(data):
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], data
        data += os.read(terminal, 4096)
    return data


def test_the_command_prints_the_script(capsys):
    for shell, write in SCRIPTS.items():
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == write(command_tree())
