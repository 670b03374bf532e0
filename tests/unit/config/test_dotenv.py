"""`.env` in the state directory."""

from pathlib import Path

import pytest

from gateway.config.dotenv import parse, rendered
from gateway.config.load import load
from gateway.core.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=plain", "plain"),
        ("  export KEY = spaced words  ", "spaced words"),
        ("KEY=value # comment", "value"),
        ("KEY='single # quoted' # comment", "single # quoted"),
        ('KEY="double\\nline"', "double\nline"),
        ("KEY='no\\nescape'", "no\\nescape"),
        ('KEY="say \\"hi\\""', 'say "hi"'),
        ("KEY=", ""),
        ("KEY=a=b==", "a=b=="),
        ("KEY=${OTHER}", "${OTHER}"),
        ("KEY=first\nKEY=second", "second"),
        ("KEY=windows\r\nOTHER=1\r\n", "windows"),
        ('KEY="two\nlines"', "two\nlines"),
    ],
)
def test_a_line_sets_a_variable(line: str, value: str):
    assert parse(line)["KEY"] == value


@pytest.mark.parametrize("line", ["# KEY=1", "KEY", "=1", "1KEY=1", ""])
def test_other_lines_set_nothing(line: str):
    assert parse(line) == {}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    text = "{env:{KEY:'of-the-file'},models:{providers:{p:{baseUrl:'http://p/v1',apiKey:'${KEY}'}}}}"
    (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
    return tmp_path


def key_in(state: Path, env: dict[str, str]) -> str:
    key = load(None, {"OPENCLAW_STATE_DIR": str(state), **env}).config.models.providers["p"].api_key
    assert key is not None
    return key.get_secret_value()


def test_the_process_wins_over_dotenv_and_dotenv_over_the_file(state: Path):
    assert key_in(state, {}) == "of-the-file"
    (state / ".env").write_text("KEY=of-dotenv\n", encoding="utf-8")
    assert key_in(state, {}) == "of-dotenv"
    assert key_in(state, {"KEY": ""}) == "of-dotenv"
    assert key_in(state, {"KEY": "of-the-process"}) == "of-the-process"


def test_the_token_of_the_gateway_may_be_in_dotenv(state: Path):
    (state / ".env").write_text("OPENCLAW_GATEWAY_TOKEN=from-dotenv\n", encoding="utf-8")
    token = load(None, {"OPENCLAW_STATE_DIR": str(state)}).config.gateway.auth.token
    assert token is not None
    assert token.get_secret_value() == "from-dotenv"


def test_a_dotenv_that_can_not_be_read_is_a_problem_that_names_it(state: Path):
    (state / ".env").write_bytes(b"KEY=\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        key_in(state, {})
    assert caught.value.problems == (
        f"{state / '.env'}: can't be read (it is not UTF-8 text); correct it or remove it",
    )


@pytest.mark.parametrize(
    "value", ["", "plain", "with 'quotes'", 'with "quotes"', "a'b`c\"d", "back\\slash'n\\n", "#no", "$x"]
)
def test_what_is_rendered_is_read_again(value: str):
    assert parse(rendered({"KEY": value, "NEXT": "n"})) == {"KEY": value, "NEXT": "n"}


def test_a_value_that_no_quotes_can_hold_is_an_error_that_does_not_show_it():
    with pytest.raises(ValueError, match=r"^the value of KEY has quotes of every kind and a backslash") as caught:
        rendered({"KEY": "a'b`c\"d\\e"})
    assert "c" + '"' + "d" not in str(caught.value)
