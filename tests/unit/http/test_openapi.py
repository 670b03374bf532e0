"""The OpenAPI document: valid, complete, and consistent with the running gateway."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.http.openapi import schema_of
from gateway.wire.anthropic_messages.schema import MessagesRequest
from gateway.wire.openai_chat.schema import ChatRequest
from gateway.wire.openai_responses.schema import ResponsesRequest


@pytest.fixture
async def document(client):
    response = await client.get("/openapi.json", headers={"Authorization": ""})
    assert response.status == 200
    return await response.json()


async def test_the_document_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()


async def test_the_document_contains_every_route(client, document):
    served = {
        (resource.canonical.replace(":.*", "").replace(":.+", ""), route.method.lower())
        for resource in client.app.router.resources()
        for route in resource
        if route.method != "*"
    } - {("/v1/responses", "get")}  # a WebSocket, which OpenAPI can't describe
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert {(path.split("{")[0], method) for path, method in served} == {
        (path.split("{")[0], method) for path, method in described
    }


async def test_bodies_are_described_by_the_models_that_read_them(document):
    for path, model in (
        ("/v1/chat/completions", ChatRequest),
        ("/v1/responses", ResponsesRequest),
        ("/v1/messages", MessagesRequest),
    ):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"]["$ref"] == f"#/components/schemas/{model.__name__}"
        described = document["components"]["schemas"][model.__name__]["properties"]
        assert set(described) == set(model.__struct_fields__)


async def test_required_fields_and_ranges_match_what_the_gateway_refuses(client, document):
    for path, fields in (
        ("/v1/chat/completions", ["messages"]),
        ("/v1/responses", ["model", "input"]),
        ("/v1/embeddings", ["model", "input"]),
        ("/v1/messages", ["model", "messages", "max_tokens"]),
        ("/v1/messages/count_tokens", ["model", "messages"]),
    ):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"]["required"] == fields
        assert (await client.post(path, json={})).status == 400
    page = document["paths"]["/v1/responses/{id}/input_items"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in page}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100}
    assert schemas["order"]["enum"] == ["desc", "asc"]


async def test_operation_ids_are_unique(document):
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


async def test_errors_match_their_schema(client, document):
    response = await client.get("/v1/models", headers={"Authorization": "Bearer wrong"})
    error = document["components"]["schemas"]["Error"]
    assert schema_of(await response.json())["required"] == error["required"] == ["error"]
    assert error["properties"]["error"]["required"] == ["code", "message", "param", "type"]


async def test_errors_of_the_messages_api_match_their_schema(client, document):
    response = await client.post("/v1/messages", json={}, headers={"Authorization": "Bearer wrong"})
    error = document["components"]["schemas"]["AnthropicError"]
    assert schema_of(await response.json())["required"] == error["required"] == ["error", "request_id", "type"]
    answers = document["paths"]["/v1/messages"]["post"]["responses"]
    assert answers["529"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/AnthropicError"}
    assert "503" not in answers


class TestSwitchedOff:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["endpoints"]["responses"]["enabled"] = False
        return config

    async def test_disabled_endpoints_are_not_described(self, document):
        assert "/v1/responses" not in document["paths"]
        assert "ResponsesRequest" not in json.dumps(document)
