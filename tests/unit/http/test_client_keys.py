"""Keys of clients through the whole application: the API, the command, and what a key opens."""

import asyncio
import json

import pytest

from gateway.app import GENERATIONS
from gateway.cli.main import main
from gateway.config.load import load
from gateway.core.client_key import digest_of, new_key
from gateway.http.keys import LOCKOUT
from tests.unit.http.conftest import TOKEN

DECLARED, SPENT = new_key(), new_key()
HELLO = {"model": "openclaw/helper", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def config(config):
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    config["gateway"]["auth"]["rateLimit"] = {"maxAttempts": 3}
    config["gateway"]["keys"] = {
        "file": {"key": DECLARED, "agents": ["helper"]},
        "spent": {"digest": f"sha256:{digest_of(SPENT).hex()}", "expires": "2020-01-01T00:00:00Z"},
    }
    config["agents"]["entries"]["helper"] = {}
    config["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}
    return config


def using(key, address="198.51.100.7"):
    return {"Authorization": f"Bearer {key}", "X-Forwarded-For": address}


@pytest.fixture
def api(client):
    """Calls the API as the owner, or with a key. Returns status and JSON."""

    async def api(method, path="/api/v1/keys", body=None, key=None, **headers):
        headers = {"X-Forwarded-For": "198.51.100.1"} | ({} if key is None else using(key)) | headers
        async with client.request(method, path, json=body, headers=headers) as response:
            return response.status, await response.json()

    return api


async def create(api, name="ci", **fields):
    status, body = await api("POST", body={"name": name, **fields})
    assert status == 200, body
    return body["key"]


async def test_a_key_is_made_once_listed_without_its_secret_and_revoked(api):
    status, made = await api("POST", body={"name": "ci", "limits": {"requests_per_minute": 60}})
    assert status == 200
    key = made.pop("key")
    assert key.startswith("ocg_")
    assert len(key) == 47
    assert made | {"created_at": ""} == {
        "object": "key",
        "name": "ci",
        "source": "store",
        "scopes": ["operator.write"],
        "agents": None,
        "limits": {"requests_per_minute": 60},
        "budget": None,
        "created_at": "",
        "expires_at": None,
        "expired": False,
        "last_used_at": None,
    }
    assert (await api("GET", "/v1/models", key=key))[0] == 200
    status, page = await api("GET")
    assert [(one["name"], one["source"], one["expired"]) for one in page["data"]] == [
        ("ci", "store", False), ("file", "configuration", False), ("spent", "configuration", True),
    ]  # fmt: skip
    assert page["data"][0]["last_used_at"] is not None
    assert page["data"][1]["last_used_at"] is None
    text = json.dumps(page)
    assert all(secret not in text for secret in (key, digest_of(key).hex(), DECLARED, digest_of(DECLARED).hex()))
    assert await api("DELETE", "/api/v1/keys/ci") == (
        200, {"object": "key.deleted", "name": "ci", "deleted": True, "pending": False},
    )  # fmt: skip
    assert (await api("GET", "/v1/models", key=key))[0] == 401
    assert (await api("DELETE", "/api/v1/keys/ci"))[0] == 404


async def test_a_long_list_has_pages(api):
    for name in "abc":
        await create(api, name)
    _, first = await api("GET", "/api/v1/keys?limit=2")
    assert ([one["name"] for one in first["data"]], first["next"]) == (["a", "b"], "b")
    _, second = await api("GET", f"/api/v1/keys?limit=1000&after={first['next']}")
    assert ([one["name"] for one in second["data"]], second["next"]) == (["c", "file", "spent"], None)
    for limit in ("0", "1001", "x", "-1", ""):
        assert (await api("GET", f"/api/v1/keys?limit={limit}"))[0] == 400


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, None),
        ([], 400, None),
        ({"name": "a b"}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": "a" * 65}, 400, "name"),
        ({"name": "a", "scopes": ["operator.wriet"]}, 400, "scopes"),
        ({"name": "a", "agents": ["nobody"]}, 400, "agents"),
        ({"name": "a", "limits": {"requests_per_minute": 0}}, 400, "limits"),
        ({"name": "a", "limits": {"requests": 1}}, 400, None),
        ({"name": "a", "expires_at": "tomorrow"}, 400, "expires_at"),
        ({"name": "a", "expires_at": "2027-01-01T00:00:00"}, 400, "expires_at"),
        ({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}, 400, "expires_at"),
        ({"name": "a", "expires_at": "9999-12-31T23:59:59-23:59"}, 400, "expires_at"),
        ({"name": "a", "expire_at": "2099-01-01T00:00:00Z"}, 400, None),
        ({"name": "file"}, 409, None),
    ],
)
async def test_a_wrong_description_makes_no_key(api, body, status, param):
    answered, error = await api("POST", body=body)
    assert (answered, error["error"]["param"]) == (status, param)
    assert len((await api("GET"))[1]["data"]) == 2


async def test_a_taken_name_is_refused(api):
    await create(api)
    status, error = await api("POST", body={"name": "ci"})
    assert (status, error["error"]["code"]) == (409, "key_exists")


async def test_a_declared_key_is_revoked_in_the_file_only(api):
    status, error = await api("DELETE", "/api/v1/keys/file")
    assert (status, error["error"]["code"]) == (409, "key_declared")


async def test_a_client_administers_no_keys_unless_its_key_has_the_scope(api):
    plain, admin = await create(api, "plain"), await create(api, "admin", scopes=["operator.admin"])
    for method, path in (("GET", "/api/v1/keys"), ("POST", "/api/v1/keys"), ("DELETE", "/api/v1/keys/plain")):
        assert (await api(method, path, key=plain))[0] == 403
    assert (await api("POST", body={"name": "more"}, key=admin))[0] == 200


ADMIN = ["operator.admin"]


@pytest.mark.parametrize(
    ("bounds", "fields", "param"),
    [
        ({"agents": ["helper"]}, {}, "agents"),
        ({"agents": ["helper"]}, {"agents": ["helper", "main"]}, "agents"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, {}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_at": "2099-01-01T00:00:01Z"}, "expires_at"),
        ({"limits": {"requests_per_minute": 60}}, {"limits": {"requests_per_minute": 1}}, None),
        ({"budget": {"tokens": 1000}}, {"budget": {"tokens": 1}}, None),
        ({}, {"scopes": ["operator.read", "operator.pairing"]}, "scopes"),
    ],
    ids=["all agents", "another agent", "no expiry", "a later expiry", "limits", "a budget", "another scope"],
)
async def test_an_administrators_key_makes_no_key_that_can_do_more_than_itself(api, bounds, fields, param):
    admin = await create(api, "admin", scopes=ADMIN, **bounds)
    status, error = await api("POST", body={"name": "more", **fields}, key=admin)
    assert (status, error["error"]["code"], error["error"]["param"]) == (403, "key_exceeds_creator", param)
    assert [one["name"] for one in (await api("GET"))[1]["data"]] == ["admin", "file", "spent"]


async def test_an_administrators_key_makes_keys_within_its_bounds_and_they_do_too(api):
    bounds = {"scopes": ADMIN, "agents": ["helper"], "expires_at": "2099-01-01T00:00:00Z"}
    first = await create(api, "first", **bounds)
    status, made = await api("POST", body={"name": "second", **bounds}, key=first)
    assert status == 200
    narrow = {
        "name": "third",
        "agents": ["helper"],
        "expires_at": "2098-01-01T00:00:00Z",
        "limits": {"concurrent_runs": 1},
    }
    assert (await api("POST", body=narrow, key=made["key"]))[0] == 200
    assert (await api("POST", body={**narrow, "name": "fourth", "agents": None}, key=made["key"]))[0] == 403


async def test_a_key_that_may_only_read_may_not_ask_an_agent(api):
    key = await create(api, scopes=["operator.read"])
    assert (await api("GET", "/v1/models", key=key))[0] == 200
    assert (await api("POST", "/v1/chat/completions", HELLO, key=key))[0] == 403


async def test_a_key_opens_only_its_agents_at_every_endpoint(api, provider):
    provider.says("hi")
    status, page = await api("GET", "/v1/models", key=DECLARED)
    assert [model["id"] for model in page["data"]] == ["openclaw/helper"]
    assert (await api("POST", "/v1/chat/completions", HELLO, key=DECLARED))[0] == 200
    for path, body in (
        ("/v1/chat/completions", HELLO | {"model": "openclaw"}),
        ("/v1/responses", {"model": "openclaw/main", "input": "hi"}),
        ("/v1/responses/compact", {"model": "openclaw/main", "input": "hi"}),
        ("/v1/responses/input_tokens", {"model": "openclaw/main", "input": "hi"}),
        ("/v1/embeddings", {"model": "openclaw/main", "input": "hi"}),
    ):
        status, error = await api("POST", path, body, key=DECLARED)
        assert (status, error["error"]["type"], error["error"]["code"]) == (403, "forbidden", "agent_not_allowed"), path
    headers = {"x-openclaw-agent-id": "main"}
    assert (await api("POST", "/v1/chat/completions", HELLO, key=DECLARED, **headers))[0] == 403
    assert len(provider.asked) == 1


async def test_wrong_keys_lock_a_client_out_as_wrong_tokens_do(client, api):
    right = await create(api)
    bodies = set()
    for guess in (new_key(), "wrong", new_key()):
        async with client.get("/v1/models", headers=using(guess, "203.0.113.9")) as response:
            bodies.add(await response.text())
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert len(bodies) == 1, "one body for all"
    for key in (new_key(), right):
        async with client.get("/v1/models", headers=using(key, "203.0.113.9")) as response:
            assert response.status == 429
    assert (await api("GET", "/v1/models", key=right))[0] == 200, "from its own address"


class TestBesideAPassword:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["auth"] = {"mode": "password", "password": TOKEN, "rateLimit": {"maxAttempts": 3}}
        return config

    @pytest.mark.parametrize("address", ["198.51.100.66", None], ids=["remote", "this machine"])
    async def test_a_key_does_not_help_to_guess_the_owners_password(self, client, api, address, monkeypatch):
        """Else its client could guess without end: two guesses, a request with its key, two guesses, and so on."""
        delays = []
        lockout = client.app[LOCKOUT]

        async def sleep(seconds):
            delays.append(seconds)

        monkeypatch.setattr(lockout, "_sleep", sleep)
        key = await create(api)
        headers = {} if address is None else {"X-Forwarded-For": address}

        async def status(secret):
            async with client.session.get(
                client.make_url("/v1/models"), headers={"Authorization": f"Bearer {secret}", **headers}
            ) as response:
                return response.status

        assert await status(key) == 200
        statuses = [await status(secret) for secret in ("guess-1", "guess-2", key, "guess-3", "guess-4", key)]
        if address is None:
            assert statuses == [401, 401, 200, 401, 401, 200]
            assert delays == sorted(set(delays)), "each guess waits longer, the key never does"
        else:
            assert statuses == [401, 401, 200, 401, 429, 429]


async def test_an_expired_key_is_refused_and_locks_nobody_out(api):
    for _ in range(5):
        assert (await api("GET", "/v1/models", key=SPENT))[0] == 401
    assert (await api("GET", "/v1/models", key=DECLARED))[0] == 200


async def test_the_limits_of_a_key_are_its_own(api, provider):
    provider.says("hi")
    first = await create(api, "first", limits={"requests_per_minute": 2})
    second = await create(api, "second", limits={"requests_per_minute": 1})
    free = await create(api, "free")
    statuses = [(await api("POST", "/v1/chat/completions", HELLO, key=first))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    statuses = [(await api("POST", "/v1/chat/completions", HELLO, key=second))[0] for _ in range(2)]
    assert statuses == [200, 429]
    assert [(await api("POST", "/v1/chat/completions", HELLO, key=free))[0] for _ in range(3)] == [200] * 3


async def test_the_conversations_of_a_key_are_its_own(api, provider):
    provider.says("hi")
    first, second = await create(api, "first"), await create(api, "second")
    for key in (first, second):
        assert (await api("POST", "/v1/chat/completions", HELLO | {"user": "u"}, key=key))[0] == 200
    _, page = await api("GET", "/api/v1/sessions", key=first)
    assert [one["user"] for one in page["data"]] == ["first"]
    path = "/api/v1/sessions/user%3Asecond%3Aagent%3Ahelper%3Aopenai-user%3Au"
    assert (await api("GET", path, key=first))[0] == 404
    assert (await api("GET", path, key=second))[0] == 200
    assert (await api("GET", path))[0] == 200, "the owner sees all"


async def test_no_key_reaches_the_log(api, capfd):
    key = await create(api)
    await api("GET", "/v1/models", key=key)
    wrong = new_key()
    await api("GET", "/v1/models", key=wrong)
    await api("DELETE", "/api/v1/keys/ci")
    logged = "".join(capfd.readouterr())
    assert "Client key created" in logged
    assert "wrong client key" in logged
    assert key not in logged
    assert wrong not in logged


async def test_the_command_makes_lists_and_revokes(client, tmp_path, capsys):
    common = ["--config", str(tmp_path / "openclaw.json"), "--url", str(client.make_url("/"))]

    async def command(*words):
        capsys.readouterr()  # the log
        status = await asyncio.to_thread(main, ["keys", *words, *common])
        return status, capsys.readouterr()

    # Without a proxy's header the command comes from loopback, as an operator's does.
    status, printed = await command(
        *(
            "create",
            "ci",
            "--agent",
            "helper",
            "--scope",
            "operator.read",
            "--requests-per-minute",
            "5",
            "--expires",
            "30d",
        )
    )
    assert status == 0
    key = next(word for word in printed.out.split() if word.startswith("ocg_"))
    async with client.get("/v1/models", headers=using(key)) as response:
        assert response.status == 200
    status, printed = await command("list")
    line = next(line for line in printed.out.splitlines() if line.startswith("ci\t"))
    assert line.split("\t")[1:4] == ["operator.read", "helper", "requests_per_minute=5"]
    assert key not in printed.out
    status, printed = await command("list", "--json")
    assert json.loads(printed.out.splitlines()[-1])["name"] == "spent"
    status, printed = await command("create", "ci")
    assert status == 1
    assert "There is a key with the name 'ci'" in printed.err
    status, printed = await command("revoke", "ci")
    assert (status, "revoked ci" in printed.out) == (0, True)
    assert (await command("revoke", "ci"))[0] == 1
    async with client.get("/v1/models", headers=using(key)) as response:
        assert response.status == 401


def test_the_command_prints_a_key_for_the_configuration(capsys):
    assert main(["keys", "generate"]) == 0
    _, key, _, digest = capsys.readouterr().out.split()
    assert digest == f"sha256:{digest_of(key).hex()}"


@pytest.fixture
def open_config(config):
    del config["gateway"]["keys"]
    config["gateway"]["auth"] = {"mode": "none"}
    return config


async def test_no_keys_are_made_where_none_are_checked(open_config, client):
    async with client.post("/api/v1/keys", json={"name": "ci"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "keys_unused")


async def test_declared_keys_and_budgets_follow_a_changed_configuration(client, api, config, tmp_path, provider):
    provider.says("hi")
    stored, later = await create(api), new_key()
    del config["gateway"]["keys"]["file"]
    config["gateway"]["keys"]["later"] = {"key": later, "budget": {"tokens": 5, "window": "hour"}}
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = load(file, {})
    await client.app[GENERATIONS].prepare(loaded.config, loaded.env)
    assert (await api("GET", "/v1/models", key=DECLARED))[0] == 200, "nothing changes before the new one is in force"
    client.app[GENERATIONS].commit()
    assert (await api("GET", "/v1/models", key=DECLARED))[0] == 401
    assert (await api("GET", "/v1/models", key=later))[0] == 200
    assert (await api("GET", "/v1/models", key=stored))[0] == 200
    assert (await api("POST", "/v1/chat/completions", HELLO | {"max_tokens": 9}, key=later))[0] == 400
    assert [one["name"] for one in (await api("GET"))[1]["data"]] == ["ci", "later", "spent"]


async def test_a_stored_key_whose_name_is_declared_later_is_listed_until_it_is_revoked(client, api, config, tmp_path):
    stored = await create(api, scopes=["operator.read"])
    config["gateway"]["keys"]["ci"] = {"key": new_key()}
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = load(file, {})
    await client.app[GENERATIONS].prepare(loaded.config, loaded.env)
    client.app[GENERATIONS].commit()
    assert (await api("GET", "/v1/models", key=stored))[0] == 200
    _, page = await api("GET", "/api/v1/keys?limit=1")
    assert [(one["name"], one["source"], one["scopes"]) for one in page["data"]] == [
        ("ci", "configuration", ["operator.write"]), ("ci", "store", ["operator.read"]),
    ]  # fmt: skip
    assert [one["name"] for one in (await api("GET", f"/api/v1/keys?after={page['next']}"))[1]["data"]] == [
        "file", "spent",
    ]  # fmt: skip
    assert (await api("DELETE", "/api/v1/keys/ci"))[0] == 200
    assert (await api("GET", "/v1/models", key=stored))[0] == 401
    assert [one["source"] for one in (await api("GET"))[1]["data"]] == ["configuration"] * 3


async def test_a_revoked_key_ends_its_web_socket_at_the_next_event(client, api, provider):
    provider.says("hi")
    key = await create(api)
    event = {"type": "response.create", "model": "openclaw/helper", "input": "hi"}
    async with client.ws_connect("/v1/responses", headers=using(key)) as socket:
        await socket.send_json(event)
        while (await socket.receive_json())["type"] != "response.completed":
            pass
        await api("DELETE", "/api/v1/keys/ci")
        await socket.send_json(event)
        refusal = await socket.receive_json()
        assert (refusal["type"], refusal["status"]) == ("error", 401)
        await socket.receive()
        assert socket.closed
    assert len(provider.asked) == 1


async def test_a_key_opens_the_messages_api_in_its_own_header(client, api, provider):
    provider.says("hi")
    body = {"model": "openclaw/helper", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"X-Forwarded-For": "198.51.100.7", "Authorization": "", "anthropic-version": "2023-06-01"}
    for key, model, status in (
        (DECLARED, "openclaw/helper", 200),
        (DECLARED, "openclaw/main", 403),
        (new_key(), "openclaw/helper", 401),
    ):
        asked = body | {"model": model}
        async with client.post("/v1/messages", json=asked, headers=headers | {"x-api-key": key}) as response:
            assert response.status == status
            assert (await response.json())["type"] == ("message" if status == 200 else "error")
    async with client.get("/v1/models", headers=headers | {"x-api-key": DECLARED}) as response:
        ids = [model["id"] for model in (await response.json())["data"]]
        assert ids == ["openclaw/helper", "claude-openclaw-helper"]
