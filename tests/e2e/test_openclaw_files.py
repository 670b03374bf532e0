"""Files as people write them for OpenClaw: `check` and `serve` agree, and only what a file names is asked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.wire import UPSTREAMS
from tests.e2e.process import environment
from tests.unit.config.test_profiles import api_key, shared

pytestmark = pytest.mark.timeout(300)  # every file is served by a process of its own

NETWORK = ("unshare", "--map-root-user", "--net", "--mount")
HOUSE = "http://house.example/v1"
CHAT = f"{HOUSE}/chat/completions"
NAMES = {"anthropic-messages": "anthropic", "google-generative-ai": "google", "openai-responses": "openai"}


def file(model: Any = "house/m", **sections: Any) -> dict[str, Any]:
    """A file with a token, a provider and an agent, and whatever else it has."""
    return {
        "gateway": {"auth": {"token": "token-of-the-file"}},
        "models": {"providers": {"house": {"baseUrl": HOUSE, "models": [{"id": "m"}]}}},
        "agents": {"defaults": {"model": model} if model else {}},
        **sections,
    }


def with_row(name: str, **row: Any) -> dict[str, Any]:
    """A file with one provider, which its agent asks."""
    return file(f"{name}/m", models={"providers": {name: {"models": [{"id": "m"}], **row}}})


def with_format(api: str) -> dict[str, Any]:
    """A row that has the name of a built-in provider, an address of its own and this wire format."""
    return with_row(NAMES.get(api, "ollama"), baseUrl="http://house.example", api=api, apiKey="k")


# File → the addresses that its agents ask; every agent is answered.
SERVED = {
    "a built-in local server at another host": (
        with_row("ollama", baseUrl=HOUSE, api="openai-completions"),
        [CHAT],
    ),
    "a catalogue row with a key in the environment": (
        file("zai/glm-5.2", models={}),
        ["https://api.z.ai/api/paas/v4/chat/completions"],
    ),
    "a key in .env": (
        file("openrouter/x/y", models={"providers": {"openrouter": {"apiKey": "${OPENROUTER_API_KEY}"}}}),
        ["https://openrouter.ai/api/v1/chat/completions"],
    ),
    "a key in the profile store": (
        file("groq/x", auth={"profiles": {"groq:default": {"provider": "groq", "mode": "api_key"}}}),
        ["https://api.groq.com/openai/v1/chat/completions"],
    ),
    "no model": (file(None, channels={"whatsapp": {}}), [CHAT]),
    "no model, a key in the environment": (file(None, models={}), ["https://openrouter.ai/api/v1/chat/completions"]),
    "no token, channels": (file(gateway={}, channels={"telegram": {}}, cron={}), [CHAT]),
    "several agents without a default": (
        file(agents={"ownership": "explicit", "defaults": {"model": "house/m"}, "entries": {"ops": {}, "home": {}}}),
        [CHAT],
    ),
    "the older list of agents, with an owner of the system": (
        file(
            agents={
                "defaults": {"model": "house/m", "systemAgent": {"agentId": "b"}},
                "list": [{"id": "a"}, {"id": "b"}],
            }
        ),
        [CHAT],
    ),
    "a fallback at a provider that does not exist": (file({"primary": "house/m", "fallbacks": ["ghost/m"]}), [CHAT]),
    "the nine groups of keys": (
        file(
            gateway={
                "auth": {"token": "t", "trustedProxy": {"cloudflareAccessOidc": {"issuer": "https://i.example"}}},
                "portals": {},
            },
            tools={"updatePlan": False},
            secrets={
                "defaults": {"store": "s"},
                "providers": {"p": {"source": "exec", "pluginIntegration": {}}},
            },
            agents={
                "defaults": {"model": "house/m", "decisionModel": "a/b", "authInheritance": {}, "sessionStore": {}},
                "entries": {"main": {"decisionModel": "a/b"}},
            },
        ),
        [CHAT],
    ),
}
FORMATS = {f"a built-in name with its own address, {api}": with_format(api) for api in UPSTREAMS}

# File → the path of what both say of it.
REFUSED = {
    "a format that is not served": (with_format("pi-messages"), "models.providers.ollama.api"),
    "a login in a row": (with_row("house", baseUrl=HOUSE, auth="oauth"), "models.providers.house.auth"),
    "a login in a profile": (
        file("openai/gpt-5.4", auth={"profiles": {"p": {"provider": "openai", "mode": "oauth"}}}),
        "auth.profiles.p",
    ),
    "a provider with a login": (file("openai-codex/gpt-5.5"), "agents.defaults.model"),
    "a provider that does not exist": (file("ghost/m"), "agents.defaults.model"),
    "no model, and nothing that it could be": (file(None, models={"mode": "replace"}), "agents.defaults.model"),
    "an unknown key": (file(session={"threadBinding": 1}), "session.threadBinding"),
    "an address that is none": (with_row("house", baseUrl="${env.URL}"), "models.providers.house.baseUrl"),
    "a secret file that is absent": (
        file(
            gateway={"auth": {"token": {"source": "file", "provider": "f", "id": "/t"}}},
            secrets={"providers": {"f": {"source": "file", "path": "./absent.json"}}},
        ),
        "gateway.auth.token",
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each file, in a network where every host is this machine."""
    if shutil.which(NETWORK[0]) is None or subprocess.run([*NETWORK, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a network of their own (unshare --map-root-user --net --mount)")
    folder = tmp_path_factory.mktemp("files")
    texts = {name: text for name, (text, _) in (SERVED | REFUSED).items()} | FORMATS
    runs = {}
    for number, (name, text) in enumerate(texts.items()):
        state = folder / str(number)
        state.mkdir()
        (state / "openclaw.json").write_text(json.dumps(text), encoding="utf-8")
        (state / ".env").write_text("OPENROUTER_API_KEY=key-of-dotenv\n", encoding="utf-8")
        shared(state, {"groq:default": api_key("groq", "key-of-the-store")})
        runs[name] = {"config": str(state / "openclaw.json"), "env": {"ZAI_API_KEY": "k"}, "state": str(state)}
    (folder / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
    done = subprocess.run(
        [*NETWORK, sys.executable, "-m", "tests.e2e.every_host", str(folder)],
        cwd=Path(__file__).parents[2],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("name", SERVED)
def test_a_file_that_openclaw_accepts_is_served_and_asks_only_what_it_names(results, name: str):
    result = results[name]
    assert (result["check"], result["serve"]) == ([], [])
    assert set(result["answers"].values()) == {"pong"}
    assert result["asked"] == SERVED[name][1]


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_with_a_built_in_name_is_asked_at_its_own_address_in_its_format(results, name: str):
    result = results[name]
    assert (result["check"], result["serve"]) == ([], [])
    assert set(result["answers"].values()) == {"pong"}
    (asked,) = result["asked"]
    assert asked.startswith("http://house.example/")


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_can_not_be_served_is_refused_by_both_at_its_path(results, name: str):
    result = results[name]
    assert result["check"] == result["serve"]
    assert [problem.partition(":")[0] for problem in result["check"]] == [REFUSED[name][1]]
    assert result["asked"] == []
