import argparse
import gc
import os
import subprocess
import sys
from importlib import import_module

import pytest

from gateway.cli.main import COMMANDS, EXIT_CONFIG, main


@pytest.mark.parametrize("words", [["nope"], ["check", "--nope"], ["--nope"], ["token", "surplus"]])
def test_a_wrong_command_line_exits_with_2(words: list[str], capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: openclaw-gateway" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["check", "--nope"], "openclaw-gateway check [-h]"),
        (["--nope"], "openclaw-gateway serve [-h]"),
        (["keys", "create", "ci", "--nope"], "openclaw-gateway keys create [-h]"),
        (["keys", "list", "surplus"], "openclaw-gateway keys list [-h]"),
        (["keys", "nope"], "openclaw-gateway keys [-h]"),
    ],
)
def test_a_wrong_command_line_shows_the_usage_of_what_was_typed(words, usage, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().err.startswith(f"usage: {usage}")


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed and text.split()[0] in printed for name, text in COMMANDS.items())


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("openclaw-gateway 0.")


@pytest.mark.parametrize("collects", [True, False])
def test_a_command_leaves_the_garbage_collector_as_it_was(capsys, collects: bool):
    if not collects:
        gc.disable()
    try:
        assert main(["token"]) == 0
        assert gc.isenabled() == collects
    finally:
        gc.enable()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_takes_a_configuration_file(name: str, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert "--config FILE" in capsys.readouterr().out


def test_without_a_command_the_gateway_is_served(tmp_path, capsys):
    file = tmp_path / "openclaw.json"
    file.write_text("{gateway: {prot: 1}}", encoding="utf-8")
    assert main(["--config", str(file)]) == EXIT_CONFIG
    assert capsys.readouterr().err.startswith("gateway.prot: unknown key; did you mean 'port'?\n")


def test_a_short_command_imports_no_server():
    code = "import sys; from gateway.cli.main import main; main(['token']); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(("command", "action"), [("keys", "list"), ("service", "install")])
def test_an_action_takes_the_configuration_file_before_it_after_it_or_not_at_all(command, action):
    parser = argparse.ArgumentParser()
    import_module(f"gateway.cli.{command}").add_parser(parser.add_subparsers())
    assert parser.parse_args([command, action]).config is None
    assert parser.parse_args([command, "--config", "a", action]).config == "a"
    assert parser.parse_args([command, action, "--config", "a"]).config == "a"


def started(run, *words):
    """Run the command line in a process of its own, with `run` as the body of its command."""
    program = f"""
import os, signal, sys
from gateway.cli import main

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` ignores it

class Command:
    def add_parser(sub):
        sub.add_parser(sys.argv[1])

    def run(args):
        {run}

main._command = lambda name: Command
sys.exit(main.main())
"""
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGIO", "SIGPWR"])
def test_a_signal_that_asks_for_nothing_does_not_end_a_gateway_that_is_starting(name):
    run = f"os.kill(os.getpid(), signal.{name}); return 7"
    assert started(run, "serve").returncode == 7
    assert started(run, "check").returncode < 0, "a command ends with its terminal"


def test_an_interrupted_start_leaves_no_traceback():
    done = subprocess.run(
        [sys.executable, "-c", """
import sys
from gateway.cli import main

def interrupted(name):
    raise KeyboardInterrupt

main._command = interrupted
sys.exit(main.main(["serve"]))
"""],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("words", [["token"], ["completion", "bash"], ["openapi"]])
def test_a_reader_that_leaves_ends_a_command_quietly(words: list[str]):
    """As `head` does, also when the output is still buffered."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "gateway", *words], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, b"")
