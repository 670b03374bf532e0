"""A row without a key, through the whole application: the login of the environment is exchanged, its token is sent."""

import json
from typing import Any

import pytest
from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.validation import validated
from tests.unit.wire.formats import PROVIDERS

TOKEN = "token-of-the-tests"
IDENTITY = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi", "IDENTITY_HEADER": "proof-of-the-app"}


def configured(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            "retry": {"maxRetries": 0},
        },
        "models": {"providers": {"azure": row}},
        "agents": {"defaults": {"model": "azure/m"}, "entries": {"main": {}}},
    }


async def test_a_classic_address_of_azure_is_called_with_the_token_of_a_managed_identity(
    aiohttp_server, aiohttp_client, tmp_path
):
    says, seen = PROVIDERS["openai-completions"], []
    identities = [{"error_description": "Identity not found for proof-of-the-app"}, None]

    async def serve(request: web.Request) -> web.Response:
        seen.append((request.path_qs, request.headers.get("Authorization"), request.headers.get("api-key")))
        if request.path == "/msi":
            assert request.headers["X-IDENTITY-HEADER"] == "proof-of-the-app"
            if (refusal := identities.pop(0)) is not None:
                return web.json_response(refusal, status=400)
            return web.json_response({"access_token": "identity-token", "expires_on": "32503680000"})
        return web.Response(body=says.whole(Answer("Hi", "stop", Usage(1, 1, 2))), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    server = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    classic = "/openai/deployments/gpt"
    row = {"baseUrl": f"{server}{classic}?api-version=2024-10-21", "authHeader": True, "models": [{"id": "m"}]}
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(configured(row)), encoding="utf-8")
    valid = validated(file, {"IDENTITY_ENDPOINT": f"{server}/msi", "IDENTITY_HEADER": "proof-of-the-app"})
    assert not any("azure" in warning for warning in valid.warnings)
    loaded = valid.loaded
    client = await aiohttp_client(
        create_app(loaded.config, loaded.env, tmp_path), headers={"Authorization": f"Bearer {TOKEN}"}
    )
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/chat/completions", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (502, "upstream_auth_error")
    assert "The managed identity got no token, its server says: Identity not found" in error["message"]
    assert "proof-of-the-app" not in error["message"]

    seen.clear()
    for _ in range(2):
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 200
    asked = (f"{classic}/chat/completions?api-version=2024-10-21", "Bearer identity-token", None)
    token = "/msi?api-version=2019-08-01&resource=https://cognitiveservices.azure.com"
    assert seen == [(token, None, None), asked, asked]


@pytest.mark.parametrize(
    ("provider", "row", "login"),
    [
        ("microsoft-foundry", {"baseUrl": "https://r.openai.azure.com/openai/v1"}, IDENTITY),
        ("microsoft-foundry", {"baseUrl": "https://r.openai.azure.com/openai/v1"}, {"AZURE_TOKEN_CREDENTIALS": "prod"}),
        ("google-vertex", {}, {"GCE_METADATA_HOST": "metadata.google.internal", "GOOGLE_CLOUD_PROJECT": "p"}),
    ],
)
def test_a_check_does_not_ask_for_a_key_where_the_machine_has_a_login(tmp_path, provider, row, login):
    config = configured({**row, "models": [{"id": "m"}]})
    config["models"] = {"providers": {provider: config["models"]["providers"]["azure"]}}
    config["agents"]["defaults"]["model"] = f"{provider}/m"
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")

    def warned(env: dict[str, str]) -> bool:
        return any("apiKey" in warning for warning in validated(file, {"HOME": str(tmp_path), **env}).warnings)

    assert (warned({}), warned(login)) == (True, False)


async def test_an_azure_row_is_called_with_the_token_of_its_application(aiohttp_server, aiohttp_client, tmp_path):
    says, seen = PROVIDERS["azure-openai-responses"], []
    refusal: list[dict[str, Any]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Authorization")))
        if request.path == "/tenant/oauth2/v2.0/token":
            if refusal:
                return web.json_response(refusal.pop(), status=401)
            form = await request.post()
            assert form["client_secret"] == "secret-of-the-application"
            return web.json_response({"access_token": "entra-token", "expires_in": 3599})
        return web.Response(body=says.whole(Answer("Hi", "stop", Usage(1, 1, 2))), content_type="application/json")

    app = web.Application()
    app.router.add_post("/{path:.*}", serve)
    server = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    row = {"api": "azure-openai-responses", "baseUrl": f"{server}/openai/v1", "models": [{"id": "m"}]}
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(configured(row)), encoding="utf-8")
    env = {
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
        "AZURE_CLIENT_SECRET": "secret-of-the-application",
        "AZURE_AUTHORITY_HOST": server,
    }
    loaded = validated(file, env).loaded
    client = await aiohttp_client(
        create_app(loaded.config, loaded.env, tmp_path), headers={"Authorization": f"Bearer {TOKEN}"}
    )
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}

    refusal.append({"error": "invalid_client", "error_description": "AADSTS7000215: Bad secret-of-the-application."})
    async with client.post("/v1/chat/completions", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (502, "upstream_auth_error")
    assert "The Entra application got no token, its server says: AADSTS7000215: Bad" in error["message"]
    assert "check AZURE_CLIENT_ID and AZURE_CLIENT_SECRET" in error["message"]
    assert "secret-of-the-application" not in error["message"]

    seen.clear()
    for _ in range(2):
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 200
    asked = ("/openai/v1/responses", "Bearer entra-token")
    assert seen == [("/tenant/oauth2/v2.0/token", None), asked, asked]
