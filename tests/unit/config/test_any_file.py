"""Whatever stands in the file, the answer is a configuration or a list of problems, never another failure."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.load import Loaded, load
from gateway.core.errors import ConfigError

TREE = json.loads(
    """{"gateway": {"port": 1, "bind": "lan", "auth": {"mode": "token", "token": "t", "rateLimit": {"global": false},
    "trustedProxy": {"userHeader": "x"}}, "trustedProxies": ["10.0.0.1"], "stream": {"holdBack": "all"},
    "http": {"endpoints": {"responses": {"files": {"pdf": {"maxPages": 1}}}}}},
    "agents": {"default": "a", "list": [{"id": "b"}], "entries": {"a": {"model": "p/m", "default": true}},
    "defaults": {"model": {"primary": "p/m", "fallbacks": ["q/n"]}, "models": {"p/m": {"alias": "x"}}}},
    "models": {"mode": "replace", "providers": {"p": {"baseUrl": "http://h", "models": [{"id": "m"}]}}},
    "mcp": {"servers": {"s": {"command": "c", "env": {"A": 1}}}}, "session": {"maintenance": {"pruneAfter": "7d"}},
    "env": {"vars": {"A": "b"}}, "secrets": {"providers": {"k": {"source": "env"}}}, "channels": {}}"""
)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(
        ["${A}", "${B}", {"source": "env", "id": "A"}, {"source": "exec", "id": "x"}, "", [], {}, [{}], [7]]
    ),
    st.dictionaries(st.sampled_from(["id", "model", "port", "a", "zz"]), st.integers(), max_size=2),
)


def paths(tree: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(deeper for key, value in inside for deeper in paths(value, (*path, key)))]


def changed(path: tuple[object, ...], value: object) -> object:
    tree = json.loads(json.dumps(TREE))
    spot = tree
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value
    return tree


def answer(tree: object) -> Loaded | tuple[str, ...]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "openclaw.json"
        file.write_text(json.dumps(tree))
        try:
            return load(file, {"OPENCLAW_GATEWAY_TOKEN": "t", "OPENCLAW_REDIS_URL": "redis://h"})
        except ConfigError as error:
            return error.problems


def test_the_tree_that_is_changed_below_is_good():
    assert isinstance(answer(TREE), Loaded)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(paths(TREE)[1:]), JUNK)
def test_one_value_changed_at_random_is_accepted_or_reported(path, value):
    result = answer(changed(path, value))
    assert isinstance(result, Loaded) or (result and all(": " in problem for problem in result))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(paths(TREE)[1:]), st.text(min_size=1, max_size=8))
def test_one_more_key_at_random_is_accepted_or_reported(path, name):
    spot = TREE
    for key in path:
        spot = spot[key]
    if isinstance(spot, dict):
        result = answer(changed(path, {**spot, name: 1}))
        assert isinstance(result, Loaded) or result
