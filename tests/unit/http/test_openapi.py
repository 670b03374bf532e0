"""The OpenAPI document: valid, complete, and consistent with the running gateway."""

import itertools
import json

import pytest
from jsonschema import Draft202012Validator
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


async def test_the_document_does_not_name_the_version_of_the_program(document):
    assert document["info"]["version"] == "1", "the version of the API"


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


HI = [{"role": "user", "content": "hi"}]
FUNCTION = {"name": "look"}
VALID = {
    "/v1/chat/completions": [
        {"messages": HI},
        {"messages": HI, "tools": [{"type": "function", "function": FUNCTION}]},
        {"messages": HI, "functions": [FUNCTION], "function_call": FUNCTION},
    ],
    "/v1/responses": [{"model": "openclaw", "input": "hi"}],
    "/v1/messages": [{"model": "openclaw", "max_tokens": 9, "messages": HI}],
    "/v1/messages/count_tokens": [{"model": "openclaw", "messages": HI}],
    "/v1/embeddings": [{"model": "openclaw", "input": "hi"}],
    "/api/v1/keys": [{"name": "ann", "limits": {}, "budget": {"tokens": 9}}],
}
VALUES: list[object] = [True, -1, 1.5, 10**400, "", "x", [], [None], [[]], {}, {"type": 7}, {"type": ""}, {"name": " "}]


async def test_every_value_that_the_schema_of_a_field_excludes_is_refused(client, document):
    accepted = []
    for path, bodies in VALID.items():
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        model = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for valid, name in itertools.product(bodies, model["properties"]):
            assert validator.is_valid(valid)
            excluded = [body for value in VALUES if not validator.is_valid(body := {**valid, name: value})]
            accepted += [body for body in excluded if (await client.post(path, json=body)).status != 400]
    assert accepted == []
