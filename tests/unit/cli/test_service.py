"""The command `service install`: the unit, and the programs that a service can't run."""

from pathlib import Path

import pytest

from gateway.cli import service
from gateway.cli.main import EXIT_CONFIG, main

PAGE = Path(__file__).parents[3] / "docs" / "deployment.md"
OPT = Path("/opt/openclaw-gateway/bin/openclaw-gateway")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    program = tmp_path / "openclaw-gateway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_page_shows_the_unit_that_is_written():
    assert f"```ini\n{service.unit(OPT)}```" in PAGE.read_text(encoding="utf-8")


def test_a_bad_configuration_is_not_tried_again():
    assert f"RestartPreventExitStatus={EXIT_CONFIG}\n" in service.unit(OPT)


def test_the_unit_is_written_and_the_next_step_is_named(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(service, "UNIT", tmp_path / "openclaw-gateway.service")
    assert main(["service", "install", "--program", str(program)]) == 0
    assert service.UNIT.read_text(encoding="utf-8") == service.unit(program)
    assert "systemctl daemon-reload && systemctl enable --now openclaw-gateway" in capsys.readouterr().out


def test_print_writes_nothing(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(service, "UNIT", tmp_path / "openclaw-gateway.service")
    assert main(["service", "install", "--program", str(program), "--print"]) == 0
    assert capsys.readouterr().out == service.unit(program)
    assert not service.UNIT.exists()


def test_a_place_that_can_not_be_written_is_named(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(service, "UNIT", tmp_path / "absent" / "openclaw-gateway.service")
    assert main(["service", "install", "--program", str(program)]) == 1
    assert "run the command as root, or use --print" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("bin/openclaw-gateway", "must be an absolute path"),
        ("/opt/a gateway/openclaw-gateway", "must be an absolute path"),
        ("/opt/absent/openclaw-gateway", "is no program"),
    ],
)
def test_a_program_that_a_service_can_not_run_is_refused(path, problem, capsys):
    assert main(["service", "install", "--program", path]) == 2
    assert problem in capsys.readouterr().err


def test_a_program_in_a_home_directory_is_refused(program, monkeypatch, capsys):
    monkeypatch.setattr(service, "_HOMES", (program.parent,))
    assert main(["service", "install", "--program", str(program)]) == 2
    assert "is in a home directory" in capsys.readouterr().err


def test_a_named_configuration_is_that_of_the_unit(program, capsys):
    words = ["service", "install", "--program", str(program), "--print", "--config"]
    assert main([*words, "/etc/100%/openclaw.json"]) == 0
    assert "\nEnvironment=OPENCLAW_CONFIG_PATH=/etc/100%%/openclaw.json\n" in capsys.readouterr().out
    assert main([*words, "/home/me/openclaw.json"]) == 2
    assert "/home/me/openclaw.json: is in a home directory" in capsys.readouterr().err
