from pathlib import Path

import pytest

from gateway.cli.main import main


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG_PATH", "GATEWAY_TOKEN", "GATEWAY_PASSWORD", "GATEWAY_PORT"):
        monkeypatch.delenv(f"OPENCLAW_{name}", raising=False)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))


def checked(folder: Path, text: str) -> int:
    (folder / "openclaw.json").write_text(text)
    return main(["check"])


def test_a_good_configuration_is_ok(tmp_path: Path, capsys):
    assert checked(tmp_path, '{gateway:{auth:{token:"a-token"}},agents:{defaults:{model:"openai/gpt-5.4"}}}') == 0
    assert capsys.readouterr().out == f"ok: {tmp_path}/openclaw.json\n"


def test_every_problem_is_listed_and_the_exit_status_is_1(tmp_path: Path, capsys):
    assert checked(tmp_path, '{gateway:{prot:1,auth:{mode:"password"}}}') == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "gateway.prot: unknown key; did you mean 'port'?",
        'gateway.auth.password: is missing, while mode is "password"; set it or OPENCLAW_GATEWAY_PASSWORD',
        "2 problems; the gateway would not start",
    ]


def test_one_problem_is_one_problem(tmp_path: Path, capsys):
    assert checked(tmp_path, "{") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "1 problem; the gateway would not start"


def test_what_is_ignored_and_what_works_less_than_it_says_is_told(tmp_path: Path, capsys):
    text = '{channels:{},cron:{},agents:{defaults:{model:{primary:"openai/x",fallbacks:["ghost/x"]}}}}'
    assert checked(tmp_path, text) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("warning: agents.defaults.model.fallbacks[0]: there is no provider 'ghost'")
    assert said[1] == "not served here and ignored: channels, cron"
    assert said[2].startswith("warning: no token is configured")


def test_the_embedded_and_the_catalogues_providers_are_known(tmp_path: Path):
    assert checked(tmp_path, '{agents:{defaults:{model:{primary:"local/x",fallbacks:["ollama/x"]}}}}') == 0


def test_an_absent_file_means_defaults_and_says_so(tmp_path: Path, capsys):
    assert main(["check"]) == 0
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == f"ok: {tmp_path}/openclaw.json (no such file; these are the defaults)"
    )


def test_an_address_that_can_not_be_called_is_a_problem(tmp_path: Path, capsys):
    providers = '{own:{baseUrl:"http://"}}'
    assert checked(tmp_path, f'{{agents:{{defaults:{{model:"own/x"}}}},models:{{providers:{providers}}}}}') == 1
    assert "models.providers.own: the base URL is not an http or https URL with a host" in capsys.readouterr().err


def test_a_named_file_is_checked(tmp_path: Path, capsys):
    assert main(["check", "--config", str(tmp_path / "absent.json")]) == 1
    assert "can't be read" in capsys.readouterr().err


def test_no_secret_is_printed(tmp_path: Path, capsys):
    checked(tmp_path, '{gateway:{auth:{token:"pw-token",mode:7}},models:{providers:{p:{apiKey:"pw-key"}}}}')
    said = capsys.readouterr()
    assert "pw-" not in said.out + said.err
