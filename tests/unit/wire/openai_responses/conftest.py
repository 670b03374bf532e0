"""A response's head, and validation with the official client's types."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.response_object import Head

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
def head() -> Head:
    ingress = ResponsesIngress.read(b'{"model":"openclaw","input":"hi"}')
    return Head("resp_1", 1_700_000_000, "openclaw", ingress.echo(ingress.turn()))


@pytest.fixture
def events() -> Callable[[bytes], list[dict[str, Any]]]:
    """The events of a stream, each a type of the official client, numbered from 0, without the final `[DONE]`."""

    def read(stream: bytes) -> list[dict[str, Any]]:
        *frames, done, remaining = stream.decode().split("\n\n")
        assert (done, remaining) == ("data: [DONE]", "")
        payloads = []
        for number, frame in enumerate(frames):
            first, second = frame.split("\n")
            payload = json.loads(second.removeprefix("data: "))
            assert first == f"event: {payload['type']}"
            assert payload["sequence_number"] == number
            EVENT.validate_python(payload)
            payloads.append(payload)
        return payloads

    return read


@pytest.fixture
def response() -> Callable[[bytes], dict[str, Any]]:
    """A whole body, validated with the official client's type."""

    def read(body: bytes) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(body)
        Response.model_validate(payload)
        return payload

    return read
