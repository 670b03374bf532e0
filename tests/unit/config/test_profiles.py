"""API keys of an OpenClaw installation: `auth.profiles` and the stores behind it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.config.profiles import ProfilesConfig
from gateway.core.errors import ConfigError


def store(file: Path, schema: str, insert: str, profiles: dict[str, Any]) -> None:
    """A store as OpenClaw 2026.9.6 writes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database:
        database.execute(schema)
        database.execute(insert, (json.dumps({"version": 1, "profiles": profiles}),))
        database.commit()


def shared(state: Path, profiles: dict[str, Any]) -> None:
    columns = "state_key TEXT NOT NULL PRIMARY KEY, value_json TEXT NOT NULL, updated_at_ms INTEGER NOT NULL"
    insert = "INSERT INTO config_machine_state VALUES ('authProfiles.store', ?, 0)"
    store(
        state / "state" / "openclaw.sqlite", f"CREATE TABLE config_machine_state ({columns}) STRICT", insert, profiles
    )


def of_agent(state: Path, agent: str, profiles: dict[str, Any]) -> None:
    columns = "store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL"
    insert = "INSERT INTO auth_profile_store VALUES ('default', ?, 0)"
    file = state / "agents" / agent / "agent" / "openclaw-agent.sqlite"
    store(file, f"CREATE TABLE auth_profile_store ({columns}) STRICT", insert, profiles)


def older(state: Path, agent: str, profiles: dict[str, Any]) -> None:
    file = state / "agents" / agent / "agent" / "auth-profiles.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 1, "profiles": profiles}), encoding="utf-8")


def api_key(provider: str, key: str) -> dict[str, Any]:
    return {"type": "api_key", "provider": provider, "key": key}


@pytest.fixture
def profiles(tmp_path: Path) -> Callable[..., ProfilesConfig]:
    def load_with(section: str = "{}", env: dict[str, str] | None = None) -> ProfilesConfig:
        file = tmp_path / "openclaw.json"
        file.write_text(f"{{auth:{section}}}", encoding="utf-8")
        return load(None, {"OPENCLAW_STATE_DIR": str(tmp_path), **(env or {})}).config.auth

    return load_with


def test_a_key_under_another_id_of_a_provider_is_its_key(profiles, tmp_path: Path):
    shared(tmp_path, {"z": api_key("z.ai", "k1"), "kimi-coding:default": api_key("kimi-coding", "k2")})
    loaded = profiles("{order:{'z-ai':['z']}}")
    assert [loaded.keys_of(name) for name in ("zai", "z.ai", "z-ai")] == [("k1",)] * 3
    assert loaded.keys_of("kimi") == loaded.keys_of("kimi-code") == ("k2",)


def test_keys_come_from_every_kind_of_store_and_main_is_read_before_other_agents(profiles, tmp_path: Path):
    shared(tmp_path, {"openrouter:manual": api_key("openrouter", "s1")})
    of_agent(tmp_path, "ops", {"groq:default": api_key("groq", "ops"), "groq:ops": api_key("groq", "more")})
    of_agent(tmp_path, "main", {"groq:default": api_key("groq", "main")})
    older(tmp_path, "main", {"xai:default": {"type": "token", "provider": "xai", "token": "t1"}})
    loaded = profiles()
    assert loaded.keys_of("openrouter") == ("s1",)
    assert loaded.keys_of("groq") == ("main", "more")
    assert loaded.keys_of("xai") == ("t1",)
    assert loaded.keys_of("openai") == ()


def test_a_stored_key_may_be_a_reference(profiles, tmp_path: Path):
    reference = {"source": "env", "provider": "default", "id": "GROQ"}
    shared(tmp_path, {"groq:default": {"type": "api_key", "provider": "groq", "keyRef": reference}})
    assert profiles(env={"GROQ": "by-reference"}).keys_of("groq") == ("by-reference",)


def test_the_order_of_the_file_decides_which_keys_are_used(profiles, tmp_path: Path):
    shared(tmp_path, {name: api_key("groq", name[-1]) for name in ("groq:a", "groq:b", "groq:c")})
    assert profiles("{order:{groq:['groq:c','groq:a','groq:z']}}").keys_of("groq") == ("c", "a")


def test_the_file_wins_over_the_stores_and_names_logins(profiles, tmp_path: Path):
    shared(tmp_path, {"a": api_key("groq", "stored"), "o": {"type": "oauth", "provider": "openai", "access": "never"}})
    loaded = profiles("{profiles:{a:{provider:'groq',mode:'api_key',key:'own',email:'e'},m:{provider:'xai'}}}")
    assert loaded.keys_of("groq") == ("own",)
    assert [(name, profile.mode) for name, profile in loaded.of("openai")] == [("o", "oauth")]
    assert "never" not in repr(loaded)


def test_nothing_is_written_to_a_store(profiles, tmp_path: Path):
    shared(tmp_path, {"groq:a": api_key("groq", "a")})
    file = tmp_path / "state" / "openclaw.sqlite"
    before = file.read_bytes()
    assert profiles().keys_of("groq") == ("a",)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("content", [b"{ not a database at all", b"\xff" * 2000])
@pytest.mark.parametrize("name", ["openclaw-agent.sqlite", "auth-profiles.json", "auth.json"])
def test_a_store_that_can_not_be_read_is_a_problem_that_names_it(profiles, tmp_path: Path, name: str, content: bytes):
    file = tmp_path / "agents" / "main" / "agent" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^auth\.profiles: .*{name} can't be read"):
        profiles()


@pytest.mark.parametrize("document", ["[]", '{"profiles":[]}', '{"profiles":{"a":1,"b":{"type":"x","provider":"p"}}}'])
def test_what_is_no_profile_in_a_store_is_left_out(profiles, tmp_path: Path, document: str):
    file = tmp_path / "agents" / "main" / "agent" / "auth-profiles.json"
    file.parent.mkdir(parents=True)
    file.write_text(document, encoding="utf-8")
    assert profiles().profiles == {}


def test_the_oldest_store_counts_where_no_profile_has_the_provider(profiles, tmp_path: Path):
    older(tmp_path, "main", {"groq:default": api_key("groq", "new")})
    keys = {
        "groq": {"type": "api_key", "key": "stale"},
        "xai": {"type": "api_key", "key": "x"},
        "openai-codex": {"type": "oauth", "access": "never"},
        "odd": 1,
    }
    (tmp_path / "agents" / "main" / "agent" / "auth.json").write_text(json.dumps(keys), encoding="utf-8")
    loaded = profiles()
    assert (loaded.keys_of("groq"), loaded.keys_of("xai")) == (("new",), ("x",))
    assert "never" not in repr(loaded)


def test_a_key_that_is_empty_is_none(profiles):
    """One whose variable is not set: half of the requests would go without a key."""
    text = "{profiles:{a:{provider:'groq',key:'k'},b:{provider:'groq',key:'${ABSENT:-}'},c:{provider:'xai',key:''}}}"
    loaded = profiles(text)
    assert (loaded.keys_of("groq"), loaded.keys_of("xai")) == (("k",), ())
