import stat
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.starter import new_token, write_starter


def test_the_first_file_is_ready_to_serve(tmp_path: Path):
    file = tmp_path / "state" / "openclaw.json"
    write_starter(file, model="local/small", token="a-token")
    result = load(file, {})
    config = result.config
    assert config.gateway.auth.token.get_secret_value() == "a-token"
    assert config.gateway.http.endpoints.chat_completions.enabled
    assert config.gateway.http.endpoints.responses.enabled
    assert config.agents.defaults.model.primary == "local/small"
    assert list(config.agents.entries) == ["main"]
    assert (result.ignored, result.inert) == ((), ())


def test_a_token_in_the_environment_is_the_one_in_force(tmp_path: Path):
    file = tmp_path / "openclaw.json"
    write_starter(file, model="local/small", token=None)
    auth = load(file, {"OPENCLAW_GATEWAY_TOKEN": "from-the-environment"}).config.gateway.auth
    assert (auth.mode, auth.token.get_secret_value()) == ("token", "from-the-environment")


def test_only_its_owner_can_read_the_first_file(tmp_path: Path):
    file = tmp_path / "state" / "openclaw.json"
    write_starter(file, model="local/small", token="a-token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_an_existing_file_is_never_replaced(tmp_path: Path):
    file = tmp_path / "openclaw.json"
    file.write_text("{}")
    with pytest.raises(FileExistsError):
        write_starter(file, model="local/small", token="a-token")
    assert file.read_text() == "{}"


@pytest.mark.parametrize("there", [True, False])
def test_no_temporary_file_remains(tmp_path: Path, there: bool):
    file = tmp_path / "openclaw.json"
    if there:
        file.write_text("{}")
        with pytest.raises(FileExistsError):
            write_starter(file, model="local/small", token="a-token")
    else:
        write_starter(file, model="local/small", token="a-token")
    assert list(tmp_path.iterdir()) == [file]


def test_odd_names_and_tokens_survive(tmp_path: Path):
    file = tmp_path / "openclaw.json"
    write_starter(file, model='local/"quoted" {x}', token="back\\slash")
    config = load(file, {}).config
    assert config.agents.defaults.model.primary == 'local/"quoted" {x}'
    assert config.gateway.auth.token.get_secret_value() == "back\\slash"


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 64 and int(token, 16) >= 0 for token in tokens)
