"""The managed identity of Azure Arc: an agent that challenges its caller to read a file, as a real server."""

import base64
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.azure_arc import arc_identity
from gateway.upstream.configured import providers_from
from gateway.upstream.entra_login import login_from
from gateway.upstream.http import DEFAULTS
from gateway.upstream.oauth_token import TokenSource
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire.contract import WireRequest

TARGET = endpoint("https://model.internal/v1/x", {}, DEFAULTS)
ASKED = WireRequest("/x", b"{}")
RESOURCE = "https://cognitiveservices.azure.com"
SECRET = base64.b64encode(b"key of the agent").decode()


class Agent:
    """An Arc agent: the `challenge` of its 401, and what it was asked. Only `SECRET` gets a token."""

    def __init__(self) -> None:
        self.challenge: str | None = None
        self.asked: list[Any] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if request.headers.get("Authorization") == f"Basic {SECRET}":
            return web.json_response({"access_token": "a", "expires_in": "3600"})
        headers = {} if self.challenge is None else {"WWW-Authenticate": self.challenge}
        return web.json_response({"error": "unauthorized_client"}, status=401, headers=headers)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "a.key").write_text(f"{SECRET}\n")
    return folder


@pytest.fixture
async def agent(aiohttp_server: Any) -> SimpleNamespace:
    served = Agent()
    app = web.Application()
    app.router.add_get("/metadata/identity/oauth2/token", served.serve)
    server = await aiohttp_server(app)
    return SimpleNamespace(agent=served, url=str(server.make_url("/metadata/identity/oauth2/token")))


async def token(agent: SimpleNamespace, keys: Path, challenge: str | None) -> Any:
    agent.agent.challenge = challenge
    source = TokenSource(arc_identity(agent.url, RESOURCE, keys))
    return await source(TARGET, ASKED)


@pytest.mark.parametrize("form", ["Basic realm={}", 'basic Realm="{}"'])
async def test_the_agent_hands_out_a_token_for_the_content_of_the_file(agent, keys, form):
    assert await token(agent, keys, form.format(keys / "a.key")) == {"Authorization": "Bearer a"}
    first, second = agent.agent.asked
    for request in (first, second):
        assert dict(request.query) == {"api-version": "2020-06-01", "resource": RESOURCE}
        assert request.headers["Metadata"] == "true"
    assert "Authorization" not in first.headers


def outside(keys: Path) -> list[str]:
    (keys.parent / "b.key").write_text(SECRET)
    (keys / "c.txt").write_text(SECRET)
    return [
        str(keys.parent / "b.key"),
        f"{keys}/../b.key",
        f"{keys}/sub/../a.key",
        str(keys / "c.txt"),
        "a.key",
        "/etc/passwd",
    ]


async def test_no_other_file_is_read(agent, keys):
    for path in outside(keys):
        with pytest.raises(UpstreamError, match=r"outside .*, which is not read") as raised:
            await token(agent, keys, f"Basic realm={path}")
        assert raised.value.kind is UpstreamKind.AUTH
    assert not any("Authorization" in request.headers for request in agent.agent.asked)


async def test_a_file_that_is_no_key_is_not_sent(agent, keys):
    (keys.parent / "secret").write_text(SECRET)
    (keys / "link.key").symlink_to(keys.parent / "secret")
    (keys / "long.key").write_bytes(b"a" * 4097)
    (keys / "lines.key").write_bytes(b"a\r\nX-Other: b")
    (keys / "empty.key").write_bytes(b"")
    (keys / "folder.key").mkdir()
    os.mkfifo(keys / "pipe.key")
    names = ("link", "long", "lines", "empty", "folder", "pipe", "absent")
    for name in names:
        with pytest.raises(UpstreamError, match=f"{name}.key (can't be read|holds no key)"):
            await token(agent, keys, f"Basic realm={keys / name}.key")
    assert len(agent.agent.asked) == len(names)


@pytest.mark.parametrize("challenge", [None, "", "Bearer realm=x", "Basic"])
async def test_without_a_file_in_the_challenge_there_is_no_token(agent, keys, challenge):
    with pytest.raises(UpstreamError, match="asks for no file of a key"):
        await token(agent, keys, challenge)


async def test_a_key_that_the_agent_refuses_is_asked_for_once(agent, keys):
    (keys / "old.key").write_text("old")
    with pytest.raises(UpstreamError, match="unauthorized_client; check the agent") as raised:
        await token(agent, keys, f"Basic realm={keys / 'old.key'}")
    assert raised.value.kind is UpstreamKind.AUTH
    assert len(agent.agent.asked) == 2


def test_the_environment_announces_the_agent():
    arc = {
        "IDENTITY_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token",
        "IMDS_ENDPOINT": "http://localhost:40342",
    }
    login = login_from(arc)
    assert login is not None
    assert login.label == "The managed identity of Azure Arc"
    assert login.challenge is not None
    with pytest.raises(ValueError, match="outside /var/opt/azcmagent/tokens"):
        login.challenge("Basic realm=/tmp/a.key")


def test_service_fabric_is_refused_by_name_unless_the_row_has_a_key():
    env = {"IDENTITY_ENDPOINT": "https://h:1/x", "IDENTITY_HEADER": "h", "IDENTITY_SERVER_THUMBPRINT": "AB"}
    row = {"baseUrl": "https://r.openai.azure.com/openai/v1", "models": [{"id": "m"}]}
    config = {"mode": "replace", "providers": {"azure": row}}
    with pytest.raises(ConfigError, match="Service Fabric is not supported; set an API key"):
        providers_from(ModelsConfig.model_validate(config), env)
    config["providers"] = {"azure": {**row, "apiKey": "k"}}
    assert providers_from(ModelsConfig.model_validate(config), env)["azure"].api_key == "k"
