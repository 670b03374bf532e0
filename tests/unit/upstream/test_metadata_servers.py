"""Logins without a secret: the metadata servers of Azure and Google, as real servers that check what they are asked."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.upstream.entra_login import login_from
from gateway.upstream.google_login import metadata_login
from gateway.upstream.http import DEFAULTS
from gateway.upstream.oauth_token import Login, TokenSource
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire.contract import WireRequest

TARGET = endpoint("https://model.internal/v1/x", {}, DEFAULTS)
ASKED = WireRequest("/x", b"{}")
RESOURCE = "https://cognitiveservices.azure.com"
CHOSEN = {"AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential"}
APPLICATION = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
NOW = 1_800_000_000


class Metadata:
    """A metadata server: `answers` in turn, and what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[SimpleNamespace] = []
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self, request: web.Request) -> web.Response:
        assert await request.read() == b""
        self.asked.append(SimpleNamespace(path=request.path, query=dict(request.query), headers=request.headers))
        await self.open.wait()
        status, body = self.answers.pop(0)
        return web.json_response(body, status=status)


@pytest.fixture
async def metadata(aiohttp_server: Any) -> SimpleNamespace:
    server = Metadata()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.serve)
    running = await aiohttp_server(app)
    return SimpleNamespace(server=server, url=str(running.make_url("")).rstrip("/"), host=f"127.0.0.1:{running.port}")


def source(login: Login | None, now: float = NOW) -> TokenSource:
    assert login is not None
    return TokenSource(login, clock=lambda: now)


async def headers(tokens: TokenSource) -> Mapping[str, str]:
    return await tokens(TARGET, ASKED)


async def test_a_virtual_machine_of_azure_asks_for_the_token_of_its_identity(metadata):
    metadata.server.answers = [(200, {"access_token": "a", "expires_in": "86399", "resource": RESOURCE})]
    tokens = source(login_from({**CHOSEN, "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"{metadata.url}/"}))
    assert await asyncio.gather(*(headers(tokens) for _ in range(4))) == [{"Authorization": "Bearer a"}] * 4
    (asked,) = metadata.server.asked
    assert asked.path == "/metadata/identity/oauth2/token"
    assert asked.query == {"api-version": "2018-02-01", "resource": RESOURCE}
    assert asked.headers["Metadata"] == "true"
    assert "Content-Type" not in asked.headers


async def test_app_service_asks_its_own_endpoint_and_reads_the_time_of_the_end(metadata):
    metadata.server.answers = [(200, {"access_token": name, "expires_on": str(NOW + 1000)}) for name in "ab"]
    env = {
        "IDENTITY_ENDPOINT": f"{metadata.url}/msi/token",
        "IDENTITY_HEADER": "proof-of-the-app",
        "AZURE_CLIENT_ID": "i",
    }
    login = login_from(env)
    assert login is not None
    assert login.secrets == ("proof-of-the-app",)
    assert "proof-of-the-app" not in repr(login)
    clock = SimpleNamespace(now=float(NOW))
    tokens = TokenSource(login, clock=lambda: clock.now)
    assert await headers(tokens) == {"Authorization": "Bearer a"}
    (asked,) = metadata.server.asked
    assert (asked.path, asked.query["api-version"], asked.query["client_id"]) == ("/msi/token", "2019-08-01", "i")
    assert asked.headers["X-IDENTITY-HEADER"] == "proof-of-the-app"
    clock.now += 991
    assert await headers(tokens) == {"Authorization": "Bearer b"}


async def test_a_machine_of_google_asks_for_the_token_of_its_service_account(metadata):
    metadata.server.answers = [(200, {"access_token": "g", "expires_in": 3599, "token_type": "Bearer"})]
    assert await headers(source(metadata_login({"GCE_METADATA_HOST": metadata.host}))) == {"Authorization": "Bearer g"}
    (asked,) = metadata.server.asked
    assert asked.path == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert asked.headers["Metadata-Flavor"] == "Google"


async def test_a_token_is_renewed_beside_the_requests(metadata):
    metadata.server.answers = [(200, {"access_token": name, "expires_in": 3600}) for name in "ab"]
    clock = SimpleNamespace(now=float(NOW))
    login = metadata_login({"GCE_METADATA_HOST": metadata.host})
    assert login is not None
    tokens = TokenSource(login, clock=lambda: clock.now)
    await headers(tokens)
    metadata.server.open.clear()
    clock.now += 3400
    assert [await headers(tokens) for _ in range(3)] == [{"Authorization": "Bearer a"}] * 3
    metadata.server.open.set()
    async with asyncio.timeout(10):
        while await headers(tokens) != {"Authorization": "Bearer b"}:
            await asyncio.sleep(0.001)
    assert len(metadata.server.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (
            400,
            {"error": "invalid_request", "error_description": "Identity not found"},
            Kind.AUTH,
            "Identity not found; ",
        ),
        (404, {}, Kind.AUTH, "status 404; "),
        (429, {}, Kind.CONNECT, "status 429."),
        (500, {"error": "unknown"}, Kind.CONNECT, "unknown."),
    ],
)
async def test_a_refusal_says_what_to_do_and_a_busy_server_is_asked_again(metadata, status, body, kind, reason):
    metadata.server.answers = [(status, body), (200, {"access_token": "a", "expires_in": "3600"})]
    tokens = source(login_from({**CHOSEN, "AZURE_POD_IDENTITY_AUTHORITY_HOST": metadata.url}))
    with pytest.raises(UpstreamError, match=f"The managed identity got no token, its server says: {reason}") as raised:
        await headers(tokens)
    assert raised.value.kind is kind
    assert ("AZURE_CLIENT_ID" in str(raised.value)) is (kind is Kind.AUTH)
    assert await headers(tokens) == {"Authorization": "Bearer a"}


async def test_the_error_of_a_machine_without_a_metadata_server_names_what_to_set(unused_tcp_port):
    for login, variable in (
        (metadata_login({"GCE_METADATA_HOST": f"127.0.0.1:{unused_tcp_port}"}), "GOOGLE_APPLICATION_CREDENTIALS"),
        (login_from({**CHOSEN, "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{unused_tcp_port}"}), "AZURE_"),
    ):
        with pytest.raises(UpstreamError, match=f"can't be reached: refused.*{variable}") as raised:
            await headers(source(login))
        assert raised.value.kind is Kind.CONNECT
        assert "resource=" not in str(raised.value)


def test_an_application_comes_before_a_managed_identity_unless_the_environment_says_otherwise():
    app_service = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi", "IDENTITY_HEADER": "h"}
    labels = [
        login.label if (login := login_from(env)) else None
        for env in (
            {**APPLICATION, **app_service},
            {**APPLICATION, **CHOSEN},
            {"AZURE_TOKEN_CREDENTIALS": "prod"},
            {**APPLICATION, "AZURE_TOKEN_CREDENTIALS": "prod"},
            {"AZURE_CLIENT_ID": "c"},
            {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi"},
        )
    ]
    application, identity = "The Entra application", "The managed identity"
    assert labels == [application, identity, identity, application, None, None]
    virtual_machine = login_from(CHOSEN)
    assert virtual_machine is not None
    assert virtual_machine.token_uri.startswith("http://169.254.169.254/metadata/identity/oauth2/token?")
