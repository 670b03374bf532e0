from pathlib import Path

import pytest

from gateway.cli.first_run import ensure_config
from gateway.core.errors import ConfigError

KEY = {"OPENAI_API_KEY": "a-key"}  # so that no server on this machine is asked for a model


def test_a_generated_token_is_to_be_shown(tmp_path: Path):
    assert ensure_config(None, KEY | {"OPENCLAW_STATE_DIR": str(tmp_path)}) is True
    assert 'token: "' in (tmp_path / "openclaw.json").read_text(encoding="utf-8")


def test_a_token_from_the_environment_is_neither_shown_nor_stored(tmp_path: Path, capsys):
    env = KEY | {"OPENCLAW_STATE_DIR": str(tmp_path), "OPENCLAW_GATEWAY_TOKEN": "known-already"}
    assert ensure_config(None, env) is False
    assert "known-already" not in (tmp_path / "openclaw.json").read_text(encoding="utf-8")
    assert "known-already" not in capsys.readouterr().out


def test_an_existing_or_named_file_is_not_written(tmp_path: Path):
    file = tmp_path / "openclaw.json"
    file.write_text("{}", encoding="utf-8")
    assert ensure_config(None, KEY | {"OPENCLAW_STATE_DIR": str(tmp_path)}) is False
    assert ensure_config(tmp_path / "absent.json", KEY) is False
    assert file.read_text(encoding="utf-8") == "{}"
    assert not (tmp_path / "absent.json").exists()


def test_a_directory_that_can_not_be_used_is_named_with_the_reason_and_the_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError) as raised:
        ensure_config(None, KEY | {"OPENCLAW_STATE_DIR": str(tmp_path / "file" / "state")})
    (problem,) = raised.value.problems
    assert problem.startswith(f"{tmp_path / 'file' / 'state'}: ")
    assert "Not a directory" in problem
    assert "OPENCLAW_STATE_DIR" in problem
