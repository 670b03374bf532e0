from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.upstream.embedded import MODEL


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG_PATH", "GATEWAY_TOKEN", "GATEWAY_PASSWORD", "GATEWAY_PORT"):
        monkeypatch.delenv(f"OPENCLAW_{name}", raising=False)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))


def checked(folder: Path, text: str, *options: str) -> int:
    (folder / "openclaw.json").write_text(text)
    return main(["check", *options])


GOOD = (
    '{gateway:{auth:{token:"a-token"},http:{endpoints:{responses:{enabled:true}}}},'
    'agents:{defaults:{model:"openai/gpt-5.4"}}}'
)


def test_a_good_configuration_is_ok(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert checked(tmp_path, GOOD) == 0
    assert capsys.readouterr().out == f"ok: {tmp_path}/openclaw.json\n"


def test_every_problem_is_listed_and_the_exit_status_is_1(tmp_path: Path, capsys):
    assert checked(tmp_path, '{gateway:{prot:1,auth:{mode:"password"}}}') == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "gateway.prot: unknown key; did you mean 'port'?",
        'gateway.auth.password: is missing, while mode is "password"; set it or OPENCLAW_GATEWAY_PASSWORD',
        "2 problems; the gateway would not start",
    ]


def test_one_problem_is_one_problem(tmp_path: Path, capsys):
    assert checked(tmp_path, "{") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "1 problem; the gateway would not start"


def test_ignored_sections_keys_without_effect_and_warnings_are_named(tmp_path: Path, capsys):
    text = '{channels:{},cron:{},agents:{defaults:{model:"ollama/x",heartbeat:{},skipBootstrap:true}}}'
    assert checked(tmp_path, text) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: gateway.http.endpoints: no endpoint is enabled")
    assert lines[1] == "accepted, has no effect: agents.defaults.heartbeat, agents.defaults.skipBootstrap"
    assert lines[2] == "not served here and ignored: channels, cron"
    assert lines[3].startswith("warning: no token is configured")


def test_the_embedded_and_the_catalogues_providers_are_known(tmp_path: Path):
    model = f'{{primary:"{MODEL.provider}/{MODEL.chat_model}",fallbacks:["ollama/x"]}}'
    assert checked(tmp_path, f"{{agents:{{defaults:{{model:{model}}}}}}}") == 0


def test_without_a_file_the_one_of_the_first_start_is_announced(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == (
        f"ok: there is no {tmp_path}/openclaw.json yet; the first start writes it, with an agent 'main' on "
        "openai/gpt-5.4\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_named_file_is_checked(tmp_path: Path, capsys):
    assert main(["check", "--config", str(tmp_path / "absent.json")]) == 1
    assert "can't be read" in capsys.readouterr().err


def test_the_options_of_serve_are_checked_too(tmp_path: Path, capsys):
    assert checked(tmp_path, GOOD, "--workers", "2") == 1
    assert capsys.readouterr().err.startswith("gateway.redis.url: is missing, while --workers is 2")
    assert checked(tmp_path, GOOD, "--bind", "custom") == 1
    assert capsys.readouterr().err.startswith("gateway.customBindHost: is missing")
    assert checked(tmp_path, GOOD, "--port", "70000") == 1
    assert capsys.readouterr().err.startswith("gateway.port: must be at most 65535")


def test_no_secret_is_printed(tmp_path: Path, capsys):
    checked(tmp_path, '{gateway:{auth:{token:"pw-token",mode:7}},models:{providers:{p:{apiKey:"pw-key"}}}}')
    printed = capsys.readouterr()
    assert "pw-" not in printed.out + printed.err
