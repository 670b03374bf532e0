"""`import` reads an OpenClaw installation, reports row by row, and writes a configuration that the gateway serves."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import EXIT_CONFIG, main
from gateway.validation import Valid, validated
from tests.unit.config.test_profiles import api_key, of_agent, older, shared

SECRET = "secret-that-must-not-be-printed"
ON = {"http": {"endpoints": {"chatCompletions": {"enabled": True}}}}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The gateway's own state directory; no provider's key is in the environment."""
    for name in ("OPENAI_API_KEY", "OPENCLAW_CONFIG_PATH", "OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def installation(tmp_path: Path) -> Callable[..., Path]:
    def build(config: Any, env: str = "", name: str = "openclaw.json") -> Path:
        folder = tmp_path / "openclaw"
        folder.mkdir()
        (folder / name).write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
        if env:
            (folder / ".env").write_text(env, encoding="utf-8")
        return folder

    return build


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """The exit status and the lines of an import; no line ever holds a secret."""

    def run(folder: Path, *options: str) -> tuple[int, list[str]]:
        status = main(["import", str(folder), *options])
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        return status, [" ".join(line.split()) for line in (out + err).splitlines()]

    return run


def served(state: Path) -> Valid:
    return validated(None, {"OPENCLAW_STATE_DIR": str(state)})


def test_an_installation_with_profiles(installation, report, state: Path):
    """Keys of the stores, for all agents, for one, and of an older version; a login; a key for a row of its own."""
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "auth": {
                "profiles": {
                    "openrouter:manual": {"provider": "openrouter", "mode": "api_key"},
                    "openai:me@example.com": {"provider": "openai", "mode": "oauth", "email": "me@example.com"},
                }
            },
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1", "models": [{"id": "m"}]}}},
            "agents": {"defaults": {"model": {"primary": "openrouter/a/b", "fallbacks": ["house/m", "groq/x"]}}},
            "channels": {"telegram": {"botToken": SECRET}},
        }
    )
    shared(folder, {"openrouter:manual": api_key("openrouter", f"or-{SECRET}")})
    of_agent(folder, "main", {"groq:default": api_key("groq", f"groq-{SECRET}")})
    older(folder, "main", {"house:default": api_key("house", f"house-{SECRET}")})
    status, lines = report(folder)
    assert status == 0
    assert lines == [
        "works agents.entries.main: openrouter/a/b → house/m → groq/x, the default agent",
        "works models.providers.openrouter: openrouter.ai:443, openai-completions, with a key",
        "works models.providers.groq: api.groq.com:443, openai-completions, with a key",
        "works models.providers.house: house.example:80, openai-completions, with a key",
        "left out channels: not served by this gateway",
        'left out auth.profiles["openai:me@example.com"]: "oauth" logins are not supported; set OPENAI_API_KEY',
        f"Wrote {state / '.env'}",
        f"Wrote {state / 'openclaw.json'}",
    ]
    providers = served(state).providers
    assert {name: row.api_key for name, row in providers.items()} == {
        "openrouter": f"or-{SECRET}",
        "groq": f"groq-{SECRET}",
        "house": f"house-{SECRET}",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}


def test_an_installation_with_variables(installation, report, state: Path):
    """`.env`, references, `env` in the file; a variable that is not set; a secret of a channel is not copied."""
    folder = installation(
        {
            "env": {"vars": {"TEAM": "blue"}},
            "gateway": {"port": 19000, "auth": {"token": "${GATEWAY_SECRET}"}},
            "models": {
                "providers": {
                    "groq": {"apiKey": "${GROQ_KEY}", "headers": {"x-team": "${TEAM}"}},
                    "mistral": {"apiKey": {"source": "env", "provider": "default", "id": "ABSENT_MISTRAL"}},
                    "xai": {"apiKey": "${ABSENT_XAI}"},
                }
            },
            "agents": {"defaults": {"model": {"primary": "groq/x", "fallbacks": ["xai/grok"]}}},
        },
        f"GROQ_KEY={SECRET}\nGATEWAY_SECRET='token-{SECRET}'\nTELEGRAM_BOT_TOKEN={SECRET}\nOPENAI_API_KEY={SECRET}\n",
    )
    status, lines = report(folder)
    assert status == 0
    assert lines == [
        "works agents.entries.main: groq/x → xai/grok, the default agent",
        "works models.providers.openai: api.openai.com:443, openai-responses, with a key",
        "works models.providers.groq: api.groq.com:443, openai-completions, with a key",
        "works models.providers.mistral: api.mistral.ai:443, openai-completions, without a key",
        "works models.providers.xai: api.x.ai:443, openai-responses, without a key",
        "changed gateway.http.endpoints: no endpoint was enabled; chatCompletions and responses are now",
        (
            "missing models.providers.mistral.apiKey: environment variable ABSENT_MISTRAL is not set, so calls go "
            "without a key; no agent asks this provider"
        ),
        (
            "missing models.providers.xai.apiKey: is missing, so api.x.ai:443 will refuse every call; set an API key "
            "in models.providers.xai.apiKey or XAI_API_KEY"
        ),
        (
            "missing models.providers.xai.apiKey: environment variable ABSENT_XAI is not set; set it before "
            "the gateway starts"
        ),
        f"Wrote {state / '.env'}",
        f"Wrote {state / 'openclaw.json'}",
    ]
    assert "TELEGRAM" not in (state / ".env").read_text(encoding="utf-8")
    valid = served(state)
    assert valid.loaded.config.gateway.port == 19000
    assert valid.loaded.config.gateway.auth.token.get_secret_value() == f"token-{SECRET}"
    assert valid.providers["groq"].headers["x-team"] == "blue"


def test_an_installation_with_several_agents(installation, report, state: Path):
    """The older list, the older name of the file, workspaces, an owner of the system, no token."""
    folder = installation(
        {
            "gateway": ON,
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1"}}},
            "agents": {
                "defaults": {"systemAgent": {"agentId": "ops"}, "sandbox": {"mode": "off"}},
                "list": [
                    {"id": "home", "model": "house/m", "workspace": "/srv/home"},
                    {"id": "ops", "model": {"primary": "claude-cli/opus", "fallbacks": ["house/n"]}},
                    {"id": "coder", "model": "openai-codex/gpt-5.5"},
                ],
            },
            "bindings": [{"agentId": "home"}],
        },
        name="clawdbot.json",
    )
    (folder / "workspace-ops").mkdir()
    status, lines = report(folder)
    assert status == 0
    assert lines == [
        "works agents.entries.home: house/m",
        "works agents.entries.ops: house/n, the default agent",
        "works models.providers.house: house.example:80, openai-completions, without a key",
        (
            "changed agents.entries.ops.model: provider 'claude-cli' runs the Claude command line with its "
            "subscription, which only Anthropic's own clients may use; use provider anthropic with an API key in "
            "ANTHROPIC_API_KEY; its first fallback 'house/n' is asked instead"
        ),
        "changed gateway.auth.token: no token was configured; a new one is in .env as OPENCLAW_GATEWAY_TOKEN",
        "left out bindings: not served by this gateway",
        (
            "left out agents.entries.coder.model: provider 'openai-codex' signs in with ChatGPT (Codex), which only "
            "OpenAI's own clients may use; use provider openai with an API key in OPENAI_API_KEY"
        ),
        "left out agents.entries: no model that the gateway can ask is left for: coder",
        "no effect agents.defaults.sandbox",
        f"Wrote {state / '.env'}",
        f"Wrote {state / 'openclaw.json'}",
    ]
    valid = served(state)
    assert valid.loaded.config.agents.entries["ops"].workspace == str(folder / "workspace-ops")
    assert valid.loaded.config.agents.entries["home"].workspace == "/srv/home"
    assert not valid.loaded.config.gateway.auth.generated


def test_an_installation_with_mixed_formats(installation, report, state: Path):
    """Rows that work, rows with a format, a login or a setting that is not served, a model that is not."""
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {
                "providers": {
                    "house": {
                        "baseUrl": "http://house.example/v1",
                        "apiKey": SECRET,
                        "models": [{"id": "m"}, {"id": "p", "api": "pi-messages"}],
                    },
                    "radius": {"baseUrl": "https://radius.example/v1", "api": "pi-messages", "apiKey": SECRET},
                    "cloud": {"baseUrl": "https://cloud.example", "auth": "aws-sdk"},
                    "behind": {"baseUrl": "https://h.example/v1", "request": {"tls": {"ca": "no PEM"}}},
                    "bare": {"baseUrl": "h.example/v1", "apiKey": SECRET},
                }
            },
            "agents": {"defaults": {"model": {"primary": "radius/x", "fallbacks": ["house/m", "github-copilot/gpt"]}}},
        }
    )
    status, lines = report(folder)
    assert status == 0
    no_format = "the wire format 'pi-messages' is not served: provider 'radius' speaks a message protocol of its own"
    starts = [
        "works agents.entries.main: house/m, the default agent",
        "works models.providers.house: house.example:80, openai-completions, with a key",
        "changed agents.defaults.model: provider 'radius' speaks a message protocol of its own",
        "left out agents.defaults.model.fallbacks[1]: provider 'github-copilot' signs in with GitHub Copilot",
        "left out models.providers.bare.baseUrl: is not an http or https URL with a host",
        "left out models.providers.behind.request.tls: ca is not a list of certificates in PEM form",
        'left out models.providers.cloud.auth: "aws-sdk" logins are not supported; use an API key',
        f"left out models.providers.radius.api: {no_format}",
        f"left out models.providers.house.models[1].api: {no_format}",
        f"Wrote {state / 'openclaw.json'}",
    ]
    assert [line[: len(start)] for line, start in zip(sorted(lines), sorted(starts), strict=True)] == sorted(starts)
    assert [str(ref) for ref in served(state).directory.default.candidates] == ["house/m"]


def test_a_broken_installation(installation, report, state: Path):
    """What protects the gateway is never left out: it stays for the operator, and nothing is written."""
    folder = installation(
        {
            "gateway": {
                "bind": "lan",
                "auth": {"mode": "none"},
                "roles": {"guest": {}},
                "tls": {"enabled": True},
                "prt": 1,
            },
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1"}}},
            "agents": {"defaults": {"model": "house/m", "modle": "x"}},
        }
    )
    status, lines = report(folder)
    assert status == 1
    outcomes = [(line.split(": ")[0], line.split(": ")[1].split(",")[0]) for line in lines[:-1]]
    assert ("left out gateway.prt", "unknown key; did you mean 'port'?") in outcomes
    assert ("left out agents.defaults.modle", "unknown key; did you mean 'model'?") in outcomes
    assert {path for path, _ in outcomes if path.startswith("needs you")} == {
        "needs you gateway.auth.mode",
        "needs you gateway.roles",
        "needs you gateway.tls.certPath",
        "needs you gateway.tls.keyPath",
    }
    assert lines[-1].startswith("Nothing was written")
    assert not state.exists()


def test_a_built_in_provider_never_takes_the_part_of_a_row_that_is_left_out(installation, report, state: Path):
    """Its prompts would go to a host that the file does not name."""
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {
                "providers": {
                    "openai": {"baseUrl": "https://proxy.example/v1", "request": {"tls": {"ca": "no PEM"}}},
                    "house": {"baseUrl": "http://house.example/v1"},
                }
            },
            "agents": {"defaults": {"model": {"primary": "openai/m", "fallbacks": ["house/m", "openai/n"]}}},
            "memory": {"search": {"provider": "openai"}},
        },
        f"OPENAI_API_KEY={SECRET}\n",
    )
    status, lines = report(folder)
    assert status == 0
    assert "left out agents.defaults.model.fallbacks[1]: the row of 'openai' is left out" in lines
    assert "left out memory.search: the row of 'openai' is left out" in lines
    assert [str(ref) for ref in served(state).directory.default.candidates] == ["house/m"]


def test_an_installation_without_a_model_that_can_be_asked_needs_its_owner(installation, report, state: Path):
    folder = installation({"gateway": ON, "agents": {"defaults": {"model": "openai-codex/gpt-5.5"}}})
    status, lines = report(folder)
    assert status == 1
    assert any(line.startswith("needs you agents.defaults.model: is missing") for line in lines)
    assert not state.exists()


def test_an_installation_that_names_no_model_is_answered_by_the_one_that_a_key_names(installation, report, state: Path):
    folder = installation({"gateway": ON, "channels": {}}, f"ANTHROPIC_API_KEY={SECRET}\n")
    status, lines = report(folder)
    assert status == 0
    assert "works agents.entries.main: anthropic/claude-opus-5, the default agent" in lines
    assert str(served(state).directory.default.candidates[0]) == "anthropic/claude-opus-5"


def test_a_file_that_exists_is_not_replaced(installation, report, state: Path):
    folder = installation(
        {
            "gateway": ON,
            "models": {"providers": {"h": {"baseUrl": "http://h"}}},
            "agents": {"defaults": {"model": "h/m"}},
        }
    )
    state.mkdir()
    (state / "openclaw.json").write_text("{}", encoding="utf-8")
    status, lines = report(folder)
    assert status == EXIT_CONFIG
    assert lines == [f"{state / 'openclaw.json'}: exists already, and is not replaced; move it away"]
    assert [file.name for file in state.iterdir()] == ["openclaw.json"]


def test_a_dry_run_writes_nothing_and_json_is_for_programs(installation, report, state: Path):
    folder = installation(
        {
            "gateway": ON,
            "models": {"providers": {"h": {"baseUrl": "http://h"}}},
            "agents": {"defaults": {"model": "h/m"}},
        }
    )
    status, lines = report(folder, "--dry-run", "--json")
    result = json.loads(lines[0])
    assert (status, result["ok"], result["written"]) == (0, True, [])
    assert {"path": "agents.entries.main", "outcome": "works", "text": "h/m, the default agent"} in result["findings"]
    assert not state.exists()


def test_a_directory_without_an_installation_is_an_error(report, tmp_path: Path):
    status, lines = report(tmp_path)
    assert status == EXIT_CONFIG
    assert lines[0].startswith(f"{tmp_path}: has no openclaw.json")


def test_a_variable_that_a_key_names_without_a_dollar_moves(installation, report, state: Path):
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1", "apiKey": "HOUSE_KEY"}}},
            "agents": {"defaults": {"model": "house/m"}},
        },
        f"HOUSE_KEY={SECRET}\nUNRELATED={SECRET}\n",
    )
    status, lines = report(folder)
    assert status == 0
    assert "works models.providers.house: house.example:80, openai-completions, with a key" in lines
    assert not any(line.startswith("missing") for line in lines)
    assert served(state).providers["house"].api_key == SECRET
    assert "UNRELATED" not in (state / ".env").read_text(encoding="utf-8")


def test_providers_of_an_agents_own_file_move_unless_they_are_known(installation, report, state: Path):
    """OpenClaw writes the file from the configuration: rows of the configuration and built-in ones are no news."""
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1"}}},
            "agents": {"defaults": {"model": {"primary": "hand/m", "fallbacks": ["house/n"]}}},
        },
        f"SHED_KEY={SECRET}\nX_TEAM={SECRET}\n",
    )
    rows = {
        "hand": {"baseUrl": "http://hand.example/v1", "apiKey": f"hand-{SECRET}", "models": [{"id": "m"}]},
        "shed": {
            "baseUrl": "http://shed.example/v1",
            "apiKey": "SHED_KEY",
            "headers": {"x-team": "secretref-env:X_TEAM", "x-file": "secretref-managed", "x-own": f"own-{SECRET}"},
        },
        "house": {"baseUrl": "http://other.example/v1"},
        "openai": {"baseUrl": "https://api.openai.com/v1", "apiKey": "OPENAI_API_KEY"},
        "mistral": {"baseUrl": "https://proxy.example/v1", "apiKey": "secretref-managed"},
        "openai-codex": {"baseUrl": "https://chatgpt.com/backend-api"},
        "bare": {"models": []},
    }
    for agent, own in (("main", rows), ("other", {"hand": {"baseUrl": "http://second.example/v1"}})):
        file = folder / "agents" / agent / "agent" / "models.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"providers": own}), encoding="utf-8")
    (folder / "agents" / "torn" / "agent").mkdir(parents=True)
    (folder / "agents" / "torn" / "agent" / "models.json").write_text("[]", encoding="utf-8")
    status, lines = report(folder)
    assert status == 0
    source = "agents/main/agent/models.json"
    assert [line for line in lines if source in line or "torn" in line] == [
        *(f"changed models.providers.{name}: it is from {source}" for name in ("hand", "shed", "mistral")),
        (
            f"left out models.providers.house.baseUrl: {source} has another address, which OpenClaw prefers; "
            "write the one that counts"
        ),
        "left out agents/torn/agent/models.json: can't be read as a file of providers",
    ]
    providers = served(state).providers
    assert providers["hand"].api_key == f"hand-{SECRET}"
    assert (providers["shed"].api_key, providers["shed"].headers["x-team"]) == (SECRET, SECRET)
    assert providers["shed"].headers["x-own"] == f"own-{SECRET}"
    assert "x-file" not in providers["shed"].headers
    assert providers["mistral"].address == "proxy.example:443"
    assert SECRET not in (state / "openclaw.json").read_text(encoding="utf-8").replace(f'"token": "{SECRET}"', "")


def test_providers_of_an_agents_own_file_stay_where_the_configuration_replaces_them(installation, report, state: Path):
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {"mode": "replace", "providers": {"house": {"baseUrl": "http://house.example/v1"}}},
            "agents": {"defaults": {"model": "house/m"}},
        }
    )
    file = folder / "agents" / "main" / "agent" / "models.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"providers": {"hand": {"baseUrl": "http://hand.example/v1"}}}), encoding="utf-8")
    assert report(folder)[0] == 0
    assert served(state).providers.keys() == {"house"}


def test_the_model_of_the_defaults_in_place_of_an_agents_own_is_a_change(installation, report):
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {
                "providers": {
                    "house": {"baseUrl": "http://house.example/v1"},
                    "chatgpt": {"baseUrl": "https://chatgpt.com/backend-api", "api": "openai-chatgpt-responses"},
                }
            },
            "agents": {"defaults": {"model": {"primary": "house/m"}}, "entries": {"a": {"model": "chatgpt/m"}}},
        }
    )
    status, lines = report(folder)
    assert status == 0
    assert (
        "changed agents.entries.a.model: the row of 'chatgpt' is left out; that of agents.defaults, 'house/m', "
        "is asked instead"
    ) in lines
    assert any(line.startswith("left out models.providers.chatgpt.api: ") and "ChatGPT" in line for line in lines)


def test_keys_without_effect_and_what_the_login_shell_holds_are_named(installation, report):
    folder = installation(
        {
            "env": {"shellEnv": {"enabled": True}},
            "gateway": {"auth": {"token": SECRET}, "tailscale": {"mode": "off"}, **ON},
            "models": {"providers": {"house": {"baseUrl": "http://h/v1", "models": [{"id": "m", "name": "M"}]}}},
            "agents": {"defaults": {"model": "house/m", "compaction": {"mode": "safeguard"}}},
        }
    )
    status, lines = report(folder)
    assert status == 0
    (without,) = (line.removeprefix("no effect ") for line in lines if line.startswith("no effect"))
    assert sorted(without.split(", ")) == ["agents.defaults.compaction", "gateway.tailscale"]
    assert any(line.startswith("left out env.shellEnv: the gateway does not read") for line in lines)


def test_a_section_is_not_left_out_for_one_mistake_in_it(installation, report, state: Path):
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {"providers": {"house": {"baseUrl": "http://house.example/v1"}}},
            "agents": {"defaults": {"model": "house/m"}, "list": [{"id": "main"}, {"id": "main"}]},
        }
    )
    status, lines = report(folder)
    assert status == 1
    assert "needs you agents: holds the same id twice; write every agent once, under agents.entries" in lines
    assert not state.exists()


@pytest.mark.parametrize("names", [[".openclaw", ".clawdbot"], [".clawdbot", ".moltbot"], [".moltbot"]])
def test_without_a_directory_the_installation_is_searched_under_all_names(tmp_path, monkeypatch, capsys, names):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in names:
        (tmp_path / name).mkdir()
        row = {"baseUrl": f"http://house{name}.example/v1"}
        config = {"gateway": ON, "models": {"providers": {"h": row}}, "agents": {"defaults": {"model": "h/m"}}}
        (tmp_path / name / "openclaw.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["import", "--dry-run"]) == 0
    assert f"house{names[0]}.example:80" in capsys.readouterr().out


def test_a_key_that_dotenv_can_not_hold_needs_its_owner(installation, report, state: Path):
    folder = installation(
        {
            "gateway": {"auth": {"token": SECRET}, **ON},
            "models": {"providers": {"h": {"baseUrl": "http://h.example/v1"}}},
            "agents": {"defaults": {"model": "h/m"}},
        }
    )
    older(folder, "main", {"h:default": api_key("h", f"{SECRET}'`\"\\")})
    status, lines = report(folder)
    assert status == 1
    assert any(line.startswith("needs you") and "OPENCLAW_PROFILE_H_DEFAULT" in line for line in lines)
    assert not state.exists()


@pytest.mark.parametrize("variable", ["OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH"])
def test_an_installation_is_not_the_target_of_its_own_import(installation, report, monkeypatch, variable: str):
    """OpenClaw reads the same variables, so a shell may have them."""
    folder = installation({"gateway": ON})
    monkeypatch.setenv(variable, str(folder if variable == "OPENCLAW_STATE_DIR" else folder / "openclaw.json"))
    status, (line,) = report(folder)
    assert status == EXIT_CONFIG
    assert "is in the installation itself, which is not changed; unset OPENCLAW_STATE_DIR" in line
    assert [file.name for file in folder.iterdir()] == ["openclaw.json"]
