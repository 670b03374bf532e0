"""Five installations of OpenClaw, in its own layout, move with `import`: what it writes is served as it is, and each
agent is answered by the hosts that the installation names, and by no others.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import environment
from tests.e2e.test_openclaw_files import NETWORK
from tests.unit.config.test_profiles import api_key, of_agent, older, shared

pytestmark = pytest.mark.timeout(120)

SECRET = "secret-of-the-installation"
TOKEN = {"auth": {"token": f"token-{SECRET}"}, "mode": "local", "port": 18789, "tailscale": {"mode": "off"}}
HOUSE = "http://house.example"
APIS = {
    "c": ("openai-completions", "/v1"),
    "r": ("openai-responses", "/v1"),
    "a": ("anthropic-messages", ""),
    "o": ("ollama", ""),
    "g": ("google-generative-ai", "/v1beta"),
    "v": ("google-vertex", "/v1"),
    "z": ("azure-openai-responses", "/openai/v1"),
    "b": ("bedrock-converse-stream", ""),
}
OTHERS = {"gpt": "openai-chatgpt-responses", "copilot": "github-copilot", "radius": "pi-messages"}


def layout(folder: Path, config: str | dict[str, Any], env: str = "", name: str = "openclaw.json") -> Path:
    """What OpenClaw has in its directory beside the configuration."""
    for part in ("agents/main/sessions", "agents/main/agent", "credentials/whatsapp", "workspace", "logs", "cron"):
        (folder / part).mkdir(parents=True)
    (folder / name).write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    (folder / f"{name}.bak").write_text("{}", encoding="utf-8")
    (folder / "workspace" / "AGENTS.md").write_text("# Be kind.\n", encoding="utf-8")
    (folder / "credentials" / "whatsapp" / "creds.json").write_text(f'{{"key": "{SECRET}"}}', encoding="utf-8")
    if env:
        (folder / ".env").write_text(env, encoding="utf-8")
    return folder


def with_profiles(folder: Path) -> None:
    """What `openclaw onboard` writes: keys in the stores, a login, a channel, a row in an agent's own file."""
    layout(
        folder,
        {
            "meta": {"lastTouchedVersion": "2026.9.6"},
            "wizard": {"lastRunCommand": "onboard"},
            "auth": {
                "profiles": {
                    "anthropic:default": {"provider": "anthropic", "mode": "api_key"},
                    "anthropic:work": {"provider": "anthropic", "mode": "api_key"},
                    "google:me": {"provider": "google-gemini-cli", "mode": "oauth", "email": "me@example.com"},
                },
                "order": {"anthropic": ["anthropic:work", "anthropic:default"]},
            },
            "agents": {
                "defaults": {
                    "model": {"primary": "anthropic/claude-opus-4-6", "fallbacks": ["openai/gpt-5.4", "hand/m"]},
                    "models": {"anthropic/claude-opus-4-6": {"alias": "opus", "params": {"cacheRetention": "long"}}},
                    "thinkingDefault": "low",
                    "compaction": {"mode": "safeguard"},
                },
                "entries": {"main": {}, "spare": {"model": "groq/llama"}, "hand": {"model": "hand/m"}},
            },
            "channels": {"telegram": {"botToken": SECRET}},
            "gateway": TOKEN,
        },
    )
    shared(folder, {f"anthropic:{name}": api_key("anthropic", f"{name}-{SECRET}") for name in ("default", "work")})
    of_agent(folder, "main", {"openai:default": api_key("openai", SECRET)})
    older(folder, "main", {"groq:default": api_key("groq", SECRET)})
    row = {"baseUrl": f"{HOUSE}/hand/v1", "apiKey": SECRET, "api": "openai-completions", "models": [{"id": "m"}]}
    file = folder / "agents" / "main" / "agent" / "models.json"
    file.write_text(json.dumps({"providers": {"hand": row}}), encoding="utf-8")


def with_variables(folder: Path) -> None:
    """Every way in which a key may be written."""
    layout(
        folder,
        f"""// comments, and no quotes around names
        {{
          env: {{ vars: {{ TEAM: "blue" }}, INLINE_KEY: "inline-{SECRET}", shellEnv: {{ enabled: true }} }},
          gateway: {{ auth: {{ mode: "password", password: "${{GW_PASSWORD}}" }}, bind: "loopback" }},
          models: {{ providers: {{
            bare: {{ baseUrl: "{HOUSE}/bare/v1", apiKey: "BARE_KEY", models: [ {{ id: "m" }} ] }},
            dollar: {{ baseUrl: "{HOUSE}/dollar/v1", apiKey: "${{DOLLAR_KEY}}", headers: {{ "X-Team": "${{TEAM}}" }} }},
            inline: {{ baseUrl: "{HOUSE}/inline/v1", apiKey: "${{INLINE_KEY}}" }},
            file: {{ baseUrl: "{HOUSE}/file/v1", apiKey: {{ source: "file", provider: "main", id: "/x/key" }} }},
            command: {{ baseUrl: "{HOUSE}/command/v1", apiKey: {{ source: "exec", provider: "vault", id: "x" }} }},
            mistral: {{ apiKey: {{ source: "env", provider: "default", id: "ABSENT_KEY" }} }},
          }} }},
          secrets: {{ providers: {{
            main: {{ source: "file", path: "./secrets.json", mode: "json" }},
            vault: {{ source: "exec", command: "/usr/bin/vault" }},
          }} }},
          agents: {{
            defaults: {{ model: {{ primary: "bare/m", fallbacks: ["mistral/large"] }} }},
            entries: {{ main: {{}}, two: {{ model: "dollar/m" }}, three: {{ model: "inline/m" }},
              four: {{ model: "file/m" }}, five: {{ model: "command/m" }}, six: {{ model: "openrouter/x/y" }} }},
          }},
        }}""",
        f"""BARE_KEY={SECRET}
export DOLLAR_KEY='dollar {SECRET}'
GW_PASSWORD=password-{SECRET} # for the owner
OPENROUTER_API_KEY="{SECRET}"
TELEGRAM_BOT_TOKEN={SECRET}
""",
    )
    (folder / "secrets.json").write_text(json.dumps({"x": {"key": f"file-{SECRET}"}}), encoding="utf-8")


def with_agents(folder: Path) -> None:
    """Older names, included files, a default agent, aliases, agents with a login."""
    layout(
        folder,
        """{
          "$include": ["./base.json5", "./providers/all.json5"],
          agents: {
            defaults: { workspace: "~/clawd", models: { "house/m": { alias: "fast" } }, params: { temperature: 0.2 } },
            list: [
              { id: "home", default: true, name: "Home", model: "fast", identity: { emoji: "x" } },
              { id: "Work", model: { primary: "house/n", fallbacks: ["fast"] }, params: { temperature: 0.9 } },
              { id: "coder", model: "openai-codex/gpt-5.3-codex" },
              { id: "plain", sandbox: { mode: "all" } },
            ],
          },
          bindings: [ { agentId: "home", match: { channel: "whatsapp" } } ],
        }""",
        f"HOUSE_KEY={SECRET}\n",
        "clawdbot.json",
    )
    base = {"gateway": TOKEN, "agents": {"defaults": {"model": "house/m"}}}
    (folder / "base.json5").write_text(json.dumps(base), encoding="utf-8")
    (folder / "providers").mkdir()
    (folder / "providers" / "all.json5").write_text(
        f'{{ models: {{ mode: "merge", providers: {{ house: {{ baseUrl: "{HOUSE}/v1", apiKey: "${{HOUSE_KEY}}",'
        ' models: [ { id: "m", name: "m" }, { id: "n", name: "n" } ] } } } }',
        encoding="utf-8",
    )


def with_formats(folder: Path) -> None:
    """A row of every format, and of those that only one provider has."""
    rows: dict[str, Any] = {
        name: {"baseUrl": f"{HOUSE}/{name}{path}", "apiKey": SECRET, "api": api, "models": [{"id": "m"}]}
        for name, (api, path) in APIS.items()
    }
    rows |= {name: {"baseUrl": f"{HOUSE}/{name}", "api": api, "models": [{"id": "m"}]} for name, api in OTHERS.items()}
    rows["mixed"] = {
        "baseUrl": f"{HOUSE}/mixed",
        "models": [{"id": "c"}, {"id": "a", "api": "anthropic-messages"}, {"id": "x", "api": "nonsense"}],
    }
    entries = {f"agent-{name}": {"model": f"{name}/m"} for name in APIS}
    entries |= {"agent-mixed": {"model": {"primary": "mixed/a"}}, "main": {}}
    model = {"primary": "gpt/m", "fallbacks": ["copilot/m", "c/m", "radius/m", "mixed/x"]}
    layout(
        folder,
        {
            "gateway": TOKEN,
            "models": {"mode": "merge", "providers": rows, "bedrockDiscovery": {"enabled": True}},
            "agents": {"defaults": {"model": model, "imageModel": {"primary": "g/m"}}, "entries": entries},
        },
    )


def broken(folder: Path) -> None:
    """Typos, values of the wrong kind, and mistakes in what protects the gateway."""
    layout(
        folder,
        f"""{{
          gateway: {{ bind: "lan", auth: {{ mode: "tokn", token: "{SECRET}" }}, controlUi: {{ allowedOrigns: [] }} }},
          models: {{ provider: {{}}, providers: {{
            y: {{ baseURL: "{HOUSE}/v1", apiKey: "{SECRET}", models: "m" }},
            z: {{ baseUrl: "not a url" }},
            ok: {{ baseUrl: "{HOUSE}/v1", models: [ {{ id: "m" }} ] }},
          }} }},
          agents: {{
            defaults: {{ model: {{ primary: "y/m", fallback: ["ok/m"] }} }},
            list: [ {{ id: "a" }}, {{ id: "A" }} ],
          }},
          auth: {{ profiles: {{ "a:b": {{ provider: "openai", mode: "magic" }} }} }},
        }}""",
        "NAME WITHOUT VALUE\n=broken\n",
    )
    (folder / "agents" / "main" / "agent" / "auth-profiles.json").write_text("{ torn", encoding="utf-8")


INSTALLATIONS = {
    "profiles": with_profiles,
    "variables": with_variables,
    "agents": with_agents,
    "formats": with_formats,
    "broken": broken,
}


@pytest.fixture(scope="module")
def installations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installations")
    for name, build in INSTALLATIONS.items():
        build(folder / name)
    return folder


@pytest.fixture(scope="module")
def reports(installations: Path) -> dict[str, tuple[int, list[str]]]:
    """The exit status and the lines of the real command for each installation, which it does not change."""

    def files(folder: Path) -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    results = {}
    for name in INSTALLATIONS:
        before = files(installations / name)
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "import", str(installations / name)],
            cwd=Path(__file__).parents[2],
            env=environment(installations / f"{name}-moved"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        assert files(installations / name) == before
        lines = [" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()]
        results[name] = (done.returncode, lines)
    return results


@pytest.fixture(scope="module")
def served(installations: Path, reports) -> dict[str, Any]:
    """What came of each new configuration, in a network where every host is this machine."""
    if shutil.which(NETWORK[0]) is None or subprocess.run([*NETWORK, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a network of their own (unshare --map-root-user --net --mount)")
    runs = {}
    for name in INSTALLATIONS:
        state = installations / f"{name}-moved"
        if state.exists():
            runs[name] = {"config": str(state / "openclaw.json"), "env": {}, "state": str(state)}
    (installations / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
    done = subprocess.run(
        [*NETWORK, sys.executable, "-m", "tests.e2e.every_host", str(installations)],
        cwd=Path(__file__).parents[2],
        env=environment(installations),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


LOGIN = "which only OpenAI's own clients may use; use provider openai with an API key in OPENAI_API_KEY"
EXPECTED = {
    "profiles": [
        "works agents.entries.main: anthropic/claude-opus-4-6 → openai/gpt-5.4 → hand/m, the default agent",
        "works agents.entries.spare: groq/llama",
        "works agents.entries.hand: hand/m",
        "works models.providers.openai: api.openai.com:443, openai-responses, with a key",
        "works models.providers.anthropic: api.anthropic.com:443, anthropic-messages, with 2 keys",
        "works models.providers.groq: api.groq.com:443, openai-completions, with a key",
        "works models.providers.hand: house.example:80, openai-completions, with a key",
        "changed models.providers.hand: it is from agents/main/agent/models.json",
        "changed gateway.http.endpoints: no endpoint was enabled; chatCompletions and responses are now",
        "left out channels: not served by this gateway",
        (
            'left out auth.profiles["google:me"]: "oauth" logins are not supported; provider \'google-gemini-cli\' '
            "signs in through the Gemini command line, a login that Google has ended; use provider google with an API "
            "key in GEMINI_API_KEY"
        ),
        "no effect agents.defaults.compaction, gateway.tailscale",
    ],
    "variables": [
        "works agents.entries.main: bare/m → mistral/large, the default agent",
        *(f"works agents.entries.{name}: {model}" for name, model in {
            "two": "dollar/m", "three": "inline/m", "four": "file/m", "five": "command/m", "six": "openrouter/x/y",
        }.items()),
        "works models.providers.openrouter: openrouter.ai:443, openai-completions, with a key",
        *(f"works models.providers.{name}: house.example:80, openai-completions, with a key"
          for name in ("bare", "dollar", "inline", "file")),
        "works models.providers.command: house.example:80, openai-completions, without a key",
        "works models.providers.mistral: api.mistral.ai:443, openai-completions, without a key",
        "changed gateway.http.endpoints: no endpoint was enabled; chatCompletions and responses are now",
        (
            "missing models.providers.mistral.apiKey: is missing, so api.mistral.ai:443 will refuse every call; set an "
            "API key in models.providers.mistral.apiKey or MISTRAL_API_KEY"
        ),
        (
            "missing models.providers.mistral.apiKey: environment variable ABSENT_KEY is not set; set it before the "
            "gateway starts"
        ),
        (
            "left out env.shellEnv: the gateway does not read variables of the login shell; add those that it needs to "
            ".env"
        ),
        'left out models.providers.command.apiKey: secret references to "exec" are not supported; use "env" or "file"',
        "no effect secrets.providers.vault.command",
    ],
    "agents": [
        "works agents.entries.home: house/m, the default agent",
        "works agents.entries.work: house/n → house/m",
        "works agents.entries.coder: house/m",
        "works agents.entries.plain: house/m",
        "works models.providers.house: house.example:80, openai-completions, with a key",
        (
            f"changed agents.entries.coder.model: provider 'openai-codex' signs in with ChatGPT (Codex), {LOGIN}; that "
            "of agents.defaults, 'house/m', is asked instead"
        ),
        "changed gateway.http.endpoints: no endpoint was enabled; chatCompletions and responses are now",
        "left out bindings: not served by this gateway",
        "no effect gateway.tailscale, agents.entries.home.identity, agents.entries.plain.sandbox",
    ],
    "formats": [
        *(f"works agents.entries.agent-{name}: {name}/m" for name in APIS),
        "works agents.entries.agent-mixed: mixed/a",
        "works agents.entries.main: c/m, the default agent",
        *(f"works models.providers.{name}: house.example:80, {api}, with a key" for name, (api, _) in APIS.items()),
        "works models.providers.mixed: house.example:80, openai-completions, without a key",
        "changed agents.defaults.model: the row of 'gpt' is left out; its first fallback 'copilot/m' is asked instead",
        "changed agents.defaults.model: the row of 'copilot' is left out; its first fallback 'c/m' is asked instead",
        "changed gateway.http.endpoints: no endpoint was enabled; chatCompletions and responses are now",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_every_row_of_an_installation_has_its_line(installations, reports, name: str):
    status, lines = reports[name]
    assert status == 0
    *lines, env, config = lines if name != "formats" else [*lines[:-1], "", lines[-1]]
    assert config == f"Wrote {installations / f'{name}-moved' / 'openclaw.json'}"
    assert env in ("", f"Wrote {installations / f'{name}-moved' / '.env'}")
    assert lines[: len(EXPECTED[name])] == EXPECTED[name]


def test_formats_and_models_that_are_not_served_are_left_out_with_their_reason(reports):
    _, lines = reports["formats"]
    left_out = [line.removeprefix("left out ") for line in lines if line.startswith("left out ")]
    starts = [
        *(f"models.providers.{name}.api: the wire format '{api}' is not served: " for name, api in OTHERS.items()),
        "models.providers.mixed.models[2].api: there is no wire format 'nonsense'; use one of: openai-completions",
        "agents.defaults.model.fallbacks[2]: provider 'radius' speaks a message protocol of its own",
        "agents.defaults.model.fallbacks[0]: the model 'mixed/x' is left out of its row",
    ]
    assert len(left_out) == len(starts)
    assert all(any(line.startswith(start) for line in left_out) for start in starts), left_out


def test_a_broken_installation_is_not_moved_and_every_mistake_is_named(installations, reports):
    status, lines = reports["broken"]
    assert status == 1
    assert not (installations / "broken-moved").exists()
    paths = {tuple(line.partition(": ")[0].rsplit(" ", 1)) for line in lines}
    assert paths >= {
        ("needs you", "gateway.auth.mode"),
        ("needs you", "agents"),
        ("left out", "gateway.controlUi.allowedOrigns"),
        ("left out", "models.provider"),
        ("left out", "models.providers.y.baseURL"),
        ("left out", "models.providers.y.models"),
        ("left out", "agents.defaults.model.fallback"),
        ("left out", 'auth.profiles["a:b"].mode'),
        ("left out", "auth.profiles"),
    }
    assert lines[-1].startswith("Nothing was written")


ASKED = {
    "profiles": [
        "http://house.example/hand/v1/chat/completions",
        "https://api.anthropic.com/v1/messages",
        "https://api.groq.com/openai/v1/chat/completions",
    ],
    "variables": [
        *sorted(f"{HOUSE}/{name}/v1/chat/completions" for name in ("bare", "dollar", "inline", "file", "command")),
        "https://openrouter.ai/api/v1/chat/completions",
    ],
    "agents": [f"{HOUSE}/v1/chat/completions"],
    "formats": sorted(
        HOUSE + path
        for path in (
            "/c/v1/chat/completions",
            "/r/v1/responses",
            "/a/v1/messages",
            "/o/api/chat",
            "/g/v1beta/models/m:generateContent",
            "/v/v1/publishers/google/models/m:generateContent",
            "/z/openai/v1/responses",
            "/b/model/m/converse",
            "/mixed/v1/messages",
        )
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_import_writes_is_served_and_asks_only_what_the_installation_names(served, name: str):
    result = served[name]
    assert (result["check"], result["serve"]) == ([], [])
    assert set(result["answers"].values()) == {"pong"}
    assert result["asked"] == ASKED[name]


def test_secrets_are_in_files_of_the_owner_and_those_of_channels_are_not_copied(installations, reports):
    for name in EXPECTED:
        for file in ((installations / f"{name}-moved") / one for one in (".env", "openclaw.json")):
            assert not file.exists() or file.stat().st_mode & 0o777 == 0o600
        env = installations / f"{name}-moved" / ".env"
        assert "TELEGRAM" not in (env.read_text(encoding="utf-8") if env.exists() else "")
