"""What a user that a proxy verified can't see or change of others, and who can."""

import pytest

CHAT = {"model": "openclaw", "messages": [{"role": "user", "content": "the password is swordfish"}], "user": "diary"}
KEY = "user:alice:agent:main:openai-user:diary"
SESSION = f"/api/v1/sessions/{KEY.replace(':', '%3A')}"
ADMIN = "operator.admin"


def user(name, **headers):
    return {"X-Forwarded-For": "203.0.113.9", "x-user": name, **headers}


@pytest.fixture
def auth(config):
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True, "admins": ["root"]},
        "identityScopes": {"olga": [ADMIN], "eve": ["operator.write"]},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    return config["gateway"]["auth"]


@pytest.fixture
async def diary(auth, client, provider):
    """A client of a gateway where alice has a conversation and a run."""
    provider.says("I will remember")
    async with client.post("/v1/chat/completions", json=CHAT, headers=user("alice", **{"X-Request-ID": "r1"})) as made:
        assert made.status == 200
    return client


async def status(client, method, path, headers):
    async with client.request(method, path, headers=headers) as response:
        text = await response.text()
        return response.status, text


REACHES = [
    ("GET", SESSION),
    ("GET", f"{SESSION}/export"),
    ("DELETE", SESSION),
    ("GET", "/api/v1/runs/r1"),
]


@pytest.mark.parametrize(("method", "path"), REACHES)
@pytest.mark.parametrize("name", ["bob", "eve"])
@pytest.mark.parametrize("more", [{}, {"x-openclaw-scopes": ADMIN}], ids=["no header", "declared admin"])
async def test_a_user_who_is_not_listed_reaches_nothing_of_another(diary, method, path, name, more):
    refused, text = await status(diary, method, path, user(name, **more))
    assert refused in (403, 404), text
    assert "swordfish" not in text
    code, text = await status(diary, "GET", SESSION, user("alice"))
    assert (code, "swordfish" in text) == (200, True)


async def test_a_list_shows_a_user_its_own_conversations_only(diary):
    assert KEY in (await status(diary, "GET", "/api/v1/sessions", user("alice")))[1]
    assert KEY not in (await status(diary, "GET", "/api/v1/sessions", user("bob")))[1]


async def test_a_session_key_of_another_user_is_refused(diary, provider):
    headers = user("bob", **{"x-openclaw-session-key": KEY})
    async with diary.post("/v1/chat/completions", json=CHAT, headers=headers) as response:
        assert response.status == 403
    assert len(provider.asked) == 1


@pytest.mark.parametrize(("method", "path"), REACHES)
@pytest.mark.parametrize("name", ["root", "olga"])
async def test_a_listed_administrator_reaches_all_of_it(diary, method, path, name):
    assert (await status(diary, method, path, user(name)))[0] == 200


async def test_an_administrator_with_narrowed_scopes_is_none(diary):
    narrowed = user("root", **{"x-openclaw-scopes": "operator.read"})
    assert (await status(diary, "GET", SESSION, narrowed))[0] == 404
    assert KEY not in (await status(diary, "GET", "/api/v1/sessions", narrowed))[1]


async def test_a_request_id_of_one_user_does_not_replace_the_run_of_another(diary, provider):
    provider.refuses(401, "no")
    async with diary.post("/v1/chat/completions", json=CHAT, headers=user("bob", **{"X-Request-ID": "r1"})) as made:
        assert made.status == 502
    assert '"answered"' in (await status(diary, "GET", "/api/v1/runs/r1", user("alice")))[1]
    assert '"answered"' not in (await status(diary, "GET", "/api/v1/runs/r1", user("bob")))[1]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_locks_are_for_administrators(diary, method):
    assert (await status(diary, method, "/api/v1/locks?key=192.0.2.1", user("bob")))[0] == 403
    assert (await status(diary, method, "/api/v1/locks?key=192.0.2.1", user("root")))[0] in (200, 404)


async def test_an_administrator_is_listed_also_where_identity_scopes_apply(auth, config, diary_with_scopes):
    assert (await status(diary_with_scopes, "GET", "/api/v1/sessions", user("root")))[0] == 200
    assert (await status(diary_with_scopes, "GET", "/api/v1/sessions", user("bob")))[0] == 403


@pytest.fixture
def applying(auth):
    auth["identityScopesApplyToHttp"] = True


@pytest.fixture
async def diary_with_scopes(applying, client):
    return client
