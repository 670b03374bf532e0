"""`gateway.keys`: what a declared key needs, and what is wrong with others."""

import json

import pytest

from gateway.config.load import load
from gateway.core.client_key import digest_of, new_key
from gateway.core.errors import ConfigError

KEY = new_key()
DIGEST = f"sha256:{digest_of(KEY).hex()}"


@pytest.fixture
def loaded(tmp_path):
    def loaded(keys, auth=None, env=None):
        file = tmp_path / "openclaw.json"
        gateway = {"auth": auth or {"token": "a-token"}, "keys": keys}
        file.write_text(json.dumps({"gateway": gateway, "agents": {"entries": {"main": {}}}}), encoding="utf-8")
        return load(file, env or {}).config.gateway.keys

    return loaded


def problems_of(call):
    with pytest.raises(ConfigError) as caught:
        call()
    return caught.value.problems


def test_a_key_is_declared_by_its_digest_or_as_a_secret(loaded):
    keys = loaded(
        {
            "a": {"digest": DIGEST, "expires": "2027-01-31T00:00:00+01:00", "limits": {"tokensPerMinute": 5}},
            "b": {"key": "${APP_KEY}", "scopes": ["operator.read"], "agents": ["Main"]},
        },
        env={"APP_KEY": (other := new_key())},
    )
    assert keys["a"].sha256 == digest_of(KEY).hex()
    assert keys["a"].expires == 1_801_350_000.0
    assert (keys["a"].scopes, keys["a"].agents) == (("operator.write",), None)
    assert keys["b"].sha256 == digest_of(other).hex()
    assert (keys["b"].scopes, keys["b"].agents) == (("operator.read",), ("main",))


@pytest.mark.parametrize(
    ("key", "path", "words"),
    [
        ({}, "gateway.keys.a", "needs either key or digest"),
        ({"key": KEY, "digest": DIGEST}, "gateway.keys.a", "needs either key or digest"),
        ({"key": "my-password"}, "gateway.keys.a.key", "is not a client key"),
        ({"digest": "abc"}, "gateway.keys.a.digest", ""),
        ({"digest": DIGEST, "scopes": ["operator.wriet"]}, "gateway.keys.a.scopes[0]", "did you mean 'operator.write'"),
        ({"digest": DIGEST, "agents": ["mian"]}, "gateway.keys.a.agents[0]", "did you mean 'main'"),
        ({"digest": DIGEST, "expires": "2027-01-31"}, "gateway.keys.a.expires", "a date, a time and a zone"),
        ({"digest": DIGEST, "expires": 4e9}, "gateway.keys.a.expires", "a date, a time and a zone"),
        ({"digest": DIGEST, "expires": float("nan")}, "gateway.keys.a.expires", "a date, a time and a zone"),
        ({"digest": DIGEST, "limits": {"requestsPerMinute": 0}}, "gateway.keys.a.limits.requestsPerMinute", ""),
        ({"digest": DIGEST, "agent": ["main"]}, "gateway.keys.a.agent", "did you mean 'agents'"),
    ],
)
def test_a_wrong_key_is_named_with_what_to_write(loaded, key, path, words):
    (problem,) = problems_of(lambda: loaded({"a": key}))
    assert problem.startswith(f"{path}: ")
    assert words in problem
    assert KEY not in problem


def test_a_name_must_fit_into_paths_and_logs(loaded):
    (problem,) = problems_of(lambda: loaded({"a b": {"digest": DIGEST}}))
    assert "the name of a key must be 1 to 64" in problem


def test_two_clients_can_not_have_the_same_key(loaded):
    (problem,) = problems_of(lambda: loaded({"a": {"digest": DIGEST}, "b": {"key": KEY}}))
    assert problem.startswith("gateway.keys.b: has the same key as 'a'")


@pytest.mark.parametrize("auth", [{"mode": "none"}])
def test_a_mode_that_checks_no_keys_may_declare_none(loaded, auth):
    (problem,) = problems_of(lambda: loaded({"a": {"digest": DIGEST}}, auth))
    assert problem.startswith('gateway.keys: is set, while auth mode is "none"')
