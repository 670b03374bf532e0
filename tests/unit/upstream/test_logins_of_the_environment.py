"""A row without a key, through the whole application: the login of the environment is exchanged, its token is sent."""

import json
from typing import Any

from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.validation import validated
from tests.unit.wire.formats import PROVIDERS

TOKEN = "token-of-the-tests"


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
    config = {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            "retry": {"maxRetries": 0},
        },
        "models": {"providers": {"azure": row}},
        "agents": {"defaults": {"model": "azure/m"}, "entries": {"main": {}}},
    }
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
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

    refusal.append({"error": "invalid_client", "error_description": "Bad secret-of-the-application."})
    async with client.post("/v1/chat/completions", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (502, "upstream_auth_error")
    assert "The Entra application got no token: Bad" in error["message"]
    assert "check AZURE_CLIENT_ID and AZURE_CLIENT_SECRET" in error["message"]
    assert "secret-of-the-application" not in error["message"]

    seen.clear()
    for _ in range(2):
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 200
    asked = ("/openai/v1/responses", "Bearer entra-token")
    assert seen == [("/tenant/oauth2/v2.0/token", None), asked, asked]
