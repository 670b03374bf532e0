"""The commands print plain text on a pipe, and columns with emphasis on a terminal."""

import pytest

from gateway.cli import output
from gateway.cli.output import amount, print_fields, print_table, styled

ROWS = [("main", "12"), ("a\x1b[2Jb", "3")]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(output, "on_terminal", lambda: True)


def test_a_table_on_a_pipe_is_rows_with_tabs(capsys):
    print_table(("agent", "runs"), ROWS, numbers=1)
    assert capsys.readouterr().out == "main\t12\na\\x1b[2Jb\t3\n"
    print_table(("agent", "runs"), ROWS, numbers=1, is_report=True)
    assert capsys.readouterr().out.splitlines()[0] == "agent\truns"


def test_a_table_on_a_terminal_has_columns_and_heads(capsys, terminal):
    print_table(("agent", "runs"), ROWS, numbers=1)
    assert capsys.readouterr().out == "\x1b[1magent      runs\x1b[0m\nmain         12\na\\x1b[2Jb     3\n"


def test_fields_are_aligned_and_further_lines_are_indented(capsys):
    print_fields([("ready", "yes"), ("config", "one\ntwo\x07")])
    assert capsys.readouterr().out == "ready   yes\nconfig  one\n        two\\x07\n"


def test_no_color_switches_emphasis_off(terminal, monkeypatch):
    assert styled("text", "31") == "\x1b[31mtext\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("text", "31") == "text"


def test_amounts_have_a_plural():
    assert (amount(1, "run"), amount(0, "run")) == ("1 run", "0 runs")
