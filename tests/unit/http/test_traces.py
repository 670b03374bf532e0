import asyncio
import gc
import json
import re

import pytest
from aiohttp import web

from gateway.runs.attempt_capture import AttemptCapture
from gateway.traces import exporter
from tests.otlp import collecting
from tests.unit.http.conftest import TOKEN, USAGE
from tests.unit.http.metrics import scraped

SPANS = "openclaw_gateway_trace_spans_total"
CHAT = "/v1/chat/completions"
ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "a secret plan"}]}
SERVER, CLIENT, INTERNAL = 2, 3, 1
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ANY_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


@pytest.fixture
async def collector(monkeypatch, config):
    monkeypatch.setattr(exporter, "INTERVAL", 0.01)
    async with collecting() as running:
        config["diagnostics"] = {"otel": {"enabled": True, "endpoint": running.url}}
        yield running


async def post(client, path=CHAT, headers=None, **more) -> int:
    async with client.post(path, json=ASK | more, headers=headers or {}) as response:
        await response.read()
        return response.status


def named(spans, name):
    (span,) = (span for span in spans if span.name == name)
    return span


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_request_its_run_and_its_attempt_are_one_trace(collector, provider, client, stream):
    provider.says("Hello| there")
    assert await post(client, stream=stream, headers={"x-request-id": "mine"}) == 200
    spans = await collector.received(3)
    request, run, attempt = named(spans, f"POST {CHAT}"), named(spans, "invoke_agent main"), named(spans, "chat small")
    assert len(spans) == 3
    assert len({span.trace for span in spans}) == 1
    assert (request.parent, run.parent, attempt.parent) == ("", request.id, run.id)
    assert [span.kind for span in (request, run, attempt)] == [SERVER, INTERNAL, CLIENT]
    assert not any(span.failed for span in spans)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": CHAT,
        "http.response.status_code": 200,
        "openclaw.request.id": "mine",
        "openclaw.request.outcome": "completed",
    }
    assert run.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "main",
        "gen_ai.usage.input_tokens": USAGE["prompt_tokens"],
        "gen_ai.usage.output_tokens": USAGE["completion_tokens"],
        "openclaw.run.attempts": 1,
        "openclaw.run.endpoint": CHAT,
        "openclaw.run.outcome": "answered",
    }
    first_chunk = attempt.attributes.pop("gen_ai.response.time_to_first_chunk", None)
    assert (first_chunk is not None) is stream
    port = int(provider.url.split(":")[2].split("/")[0])
    assert attempt.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "gen_ai.request.model": "small",
        "gen_ai.request.stream": stream,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": USAGE["prompt_tokens"],
        "gen_ai.usage.output_tokens": USAGE["completion_tokens"],
        "http.response.status_code": 200,
        "openclaw.attempt.key": "apiKey",
        "openclaw.attempt.number": 1,
        "openclaw.attempt.outcome": "answered",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    for above, below in ((request, run), (run, attempt)):
        assert above.start - 20_000_000 <= below.start <= below.end <= above.end + 20_000_000
    assert request.resource["service.name"] == "openclaw-gateway"
    assert {"service.version", "service.instance.id"} <= request.resource.keys()


@pytest.fixture
async def failing(collector, provider, config):
    """A first model that fails twice, before a second one answers."""
    config["gateway"]["retry"] = {"maxRetries": 1, "backoffMs": 1}
    config["agents"]["defaults"]["model"] = {"primary": "fake/blind", "fallbacks": ["fake/small"]}
    provider.says("Hello")
    answer = provider.answer

    async def by_model(request: web.Request) -> web.StreamResponse:
        if provider.asked[-1]["model"] == "blind":
            return web.json_response({"error": {"message": "quoted: a secret plan", "type": "x"}}, status=500)
        return await answer(request)

    provider.answer = by_model


async def test_each_retry_and_the_failover_are_spans_of_the_run(collector, failing, client):
    assert await post(client) == 200
    spans = await collector.received(5)
    run = named(spans, "invoke_agent main")
    attempts = sorted(
        (span for span in spans if span.kind == CLIENT), key=lambda span: span.attributes["openclaw.attempt.number"]
    )
    assert [(span.name, span.failed, span.attributes.get("error.type")) for span in attempts] == [
        ("chat blind", True, "server_error"),
        ("chat blind", True, "server_error"),
        ("chat small", False, None),
    ]
    assert [span.attributes["http.response.status_code"] for span in attempts] == [500, 500, 200]
    assert {span.parent for span in attempts} == {run.id}
    assert len({span.id for span in spans}) == 5
    assert run.attributes["openclaw.run.attempts"] == 3
    assert attempts[1].attributes["openclaw.attempt.pause"] >= 0
    assert not any(b"secret plan" in body for body in collector.bodies)


async def test_no_span_has_a_prompt_an_answer_or_a_secret(collector, provider, client):
    provider.says("a secret answer")
    assert await post(client, stream=True, user="a secret user") == 200
    await collector.received(3)
    for secret in (b"secret plan", b"secret answer", b"secret user", TOKEN.encode()):
        assert not any(secret in body for body in collector.bodies)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_attempt_names_the_id_and_the_model_of_the_response_that_answered(collector, provider, client, stream):
    names = {"id": "chatcmpl-9", "model": "small-2026-11-01"}

    async def answer(request: web.Request) -> web.StreamResponse:
        if not stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length"}
            return web.json_response({**names, "object": "chat.completion", "choices": [choice]})
        response = await provider.begins(request)
        await provider.send(response, {**names, "choices": [{"index": 0, "delta": {"content": "Hi"}}]})
        await provider.send(response, {**names, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    assert await post(client, stream=stream) == 200
    attempt = named(await collector.received(3), "chat small")
    assert attempt.attributes["gen_ai.request.model"] == "small"
    assert attempt.attributes["gen_ai.response.id"] == "chatcmpl-9"
    assert attempt.attributes["gen_ai.response.model"] == "small-2026-11-01"
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["length"]


async def test_an_attempt_that_failed_has_no_names_of_another_ones_response(collector, failing, client):
    assert await post(client) == 200
    spans = await collector.received(5)
    failed = [span for span in spans if span.name == "chat blind"]
    assert not any(name.startswith("gen_ai.response") for span in failed for name in span.attributes)


SECRET, HEADER_SECRET = "plain-words-as-a-key", "another-plain-secret"
EVERYTHING = {"enabled": True, "inputMessages": True, "outputMessages": True, "systemPrompt": True}


@pytest.fixture
def capturing(collector, config, request):
    """The content that is enabled is the parameter, else all; the provider's row has two secrets."""
    config["diagnostics"]["otel"]["captureContent"] = getattr(request, "param", EVERYTHING)
    config["models"]["providers"]["fake"] |= {"apiKey": SECRET, "headers": {"x-tenant": HEADER_SECRET}}
    config["agents"]["defaults"]["systemPrompt"] = "a system prompt"
    return collector


@pytest.mark.parametrize(
    ("capturing", "expected"),
    [
        (EVERYTHING, {"system_instructions", "input.messages", "output.messages"}),
        (True, {"input.messages", "output.messages"}),
        ({"enabled": True, "outputMessages": True}, {"output.messages"}),
        ({"enabled": True}, set()),
        (EVERYTHING | {"enabled": False}, set()),
        (False, set()),
    ],
    ids=["all", "true", "one part", "enabled alone", "not enabled", "false"],
    indirect=["capturing"],
)
async def test_only_the_enabled_content_is_in_spans(capturing, provider, client, expected):
    provider.says("a secret| answer")
    assert await post(client, stream=True) == 200
    attempt = named(await capturing.received(3), "chat small")
    content = {f"gen_ai.{name}" for name in ("system_instructions", "input.messages", "output.messages")}
    assert attempt.attributes.keys() & content == {f"gen_ai.{name}" for name in expected}
    assert any(b"secret plan" in body for body in capturing.bodies) is ("input.messages" in expected)
    assert any(b"secret answer" in body for body in capturing.bodies) is ("output.messages" in expected)
    assert any(b"system prompt" in body for body in capturing.bodies) is ("system_instructions" in expected)


async def test_content_never_has_a_secret_of_a_providers_row(capturing, provider, client):
    provider.says(f"I was sent {SECRET}| and {HEADER_SECRET} and Bearer abcdefgh12345678")
    question = [{"role": "user", "content": f"Is your key {SECRET}, or {HEADER_SECRET}?"}]
    assert await post(client, stream=True, messages=question) == 200
    attempt = named(await capturing.received(3), "chat small")
    (message,) = json.loads(attempt.attributes["gen_ai.output.messages"])
    assert message["parts"] == [
        {"type": "text", "content": "I was sent [redacted] and [redacted] and Bearer [redacted]"}
    ]
    for secret in (SECRET, HEADER_SECRET, "abcdefgh12345678", TOKEN):
        assert not any(secret.encode() in body for body in capturing.bodies)


@pytest.mark.parametrize("capturing", [EVERYTHING | {"maxBytes": 1000}], ids=[""], indirect=True)
async def test_a_huge_prompt_and_answer_are_bounded_in_bytes(capturing, provider, client):
    provider.says("|".join(["many words "] * 500))
    question = [{"role": "user", "content": "x" * 100_000}] * 3
    assert await post(client, stream=True, messages=question) == 200
    attempt = named(await capturing.received(3), "chat small")
    assert attempt.attributes["openclaw.content.truncated"] is True
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert 500 < len(attempt.attributes[name].encode()) <= 1000
        assert json.loads(attempt.attributes[name])[-1]["parts"]


async def test_a_run_that_is_over_holds_no_content(capturing, provider, client):
    provider.says("Hello")
    assert await post(client, stream=True) == 200
    await capturing.received(3)
    gc.collect()
    captures = [one for one in gc.get_objects() if isinstance(one, AttemptCapture)]
    assert all((one.turn, one.answer) == (None, None) for one in captures)


async def test_a_failed_request_names_the_kind_of_its_failure(collector, provider, client):
    provider.refuses(500, "quoted: a secret plan")
    assert await post(client) == 502
    spans = await collector.received(3)
    assert all(span.failed for span in spans)
    assert named(spans, f"POST {CHAT}").attributes["error.type"] == "502"
    assert named(spans, "invoke_agent main").attributes["error.type"] == "server_error"
    assert not any(b"secret plan" in body for body in collector.bodies)


async def test_a_broken_stream_is_a_failed_request_with_the_status_of_its_beginning(collector, provider, client):
    async def answer(request: web.Request) -> web.StreamResponse:
        return await provider.begins(request, {"content": "Hel"})

    provider.answer = answer
    assert await post(client, stream=True) == 200
    request = named(await collector.received(3), f"POST {CHAT}")
    assert request.failed
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["error.type"] == named(collector.spans, "chat small").attributes["error.type"]


async def test_spans_end_when_the_client_leaves(collector, provider, client):
    asked, left = provider.hangs()
    request = asyncio.create_task(post(client))
    await asked.wait()
    request.cancel()
    await left.wait()
    await asyncio.gather(request, return_exceptions=True)
    spans = await collector.received(3)
    assert not any(span.failed for span in spans)
    assert named(spans, f"POST {CHAT}").attributes["openclaw.request.outcome"] == "cancelled"
    assert named(spans, "chat small").attributes["openclaw.attempt.outcome"] == "cancelled"


async def test_the_clients_trace_is_continued(collector, provider, client):
    provider.says("Hello")
    state = "vendor=some,other=more"
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": state}
    assert await post(client, headers=headers) == 200
    spans = await collector.received(3)
    assert {span.trace for span in spans} == {TRACE}
    assert {span.state for span in spans} == {state}
    assert named(spans, f"POST {CHAT}").parent == PARENT


async def test_a_trace_that_the_client_does_not_record_is_not_recorded_here(collector, provider, client):
    provider.says("Hello")
    assert await post(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}) == 200
    assert await post(client) == 200
    assert TRACE not in {span.trace for span in await collector.received(3)}
    assert len(collector.spans) == 3


@pytest.mark.parametrize(
    "sent", ["", "nonsense", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-more"]
)
async def test_an_invalid_traceparent_begins_a_new_trace(collector, provider, client, sent):
    provider.says("Hello")
    assert await post(client, headers={"traceparent": sent, "tracestate": "a=b"}) == 200
    request = named(await collector.received(3), f"POST {CHAT}")
    assert request.trace != TRACE
    assert (request.parent, request.state) == ("", "")


@pytest.fixture
def ignoring(collector, config):
    config["diagnostics"]["otel"]["acceptTraceContext"] = False


async def test_the_clients_trace_is_not_continued_where_the_configuration_says_so(
    ignoring, collector, provider, client
):
    provider.says("Hello")
    assert await post(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) == 200
    assert named(await collector.received(3), f"POST {CHAT}").trace != TRACE


async def test_a_client_without_a_valid_credential_has_no_span(collector, provider, client):
    provider.says("Hello")
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": ""}):
        assert await post(client, headers=headers | {"traceparent": f"00-{TRACE}-{PARENT}-01"}) == 401
    async with client.get("/healthz") as response:
        assert response.status == 200
    assert await post(client) == 200
    assert len(await collector.received(3)) == 3


async def test_a_request_without_a_run_has_a_span(collector, client):
    async with client.get("/v1/models") as response:
        assert response.status == 200
    (span,) = await collector.received(1)
    assert (span.name, span.attributes["http.route"]) == ("GET /v1/models", "/v1/models")
    assert await post(client, messages=[]) == 400
    refused = (await collector.received(2))[1]
    assert refused.attributes["openclaw.request.outcome"] == "refused"
    assert not refused.failed


async def test_a_provider_gets_no_trace_context_unless_its_row_asks_for_it(collector, provider, client):
    provider.says("Hello")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=some"}
    assert await post(client, headers=headers) == 200
    assert not [name for name in provider.headers[0] if name.lower().startswith("trace")]


@pytest.fixture
def sending(config):
    config["models"]["providers"]["fake"]["sendTraceContext"] = True


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.usefixtures("sending", "failing")
async def test_a_provider_whose_row_asks_for_it_continues_the_trace_of_each_attempt(
    collector, provider, client, stream
):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=some"}
    assert await post(client, headers=headers, stream=stream) == 200
    spans = await collector.received(5)
    attempts = sorted(
        (span for span in spans if span.kind == CLIENT), key=lambda span: span.attributes["openclaw.attempt.number"]
    )
    assert [one["traceparent"] for one in provider.headers] == [f"00-{TRACE}-{span.id}-01" for span in attempts]
    assert not any("tracestate" in one for one in provider.headers)


async def test_an_unrecorded_trace_is_passed_on_as_such(sending, collector, provider, client):
    provider.says("Hello")
    assert await post(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}) == 200
    (sent,) = provider.headers
    assert ANY_TRACEPARENT.fullmatch(sent["traceparent"])
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith("-00")


async def test_without_tracing_a_provider_that_may_get_the_context_gets_none(sending, provider, client):
    provider.says("Hello")
    assert await post(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) == 200
    assert "traceparent" not in provider.headers[0]


@pytest.fixture
def hedging(config, provider):
    """Two models that are asked in parallel, of which the second one answers."""
    config["gateway"]["retry"]["hedgeAfterMs"] = 100
    config["agents"]["defaults"]["model"] = {"primary": "fake/blind", "fallbacks": ["fake/small"]}
    provider.says("Hello")
    answer = provider.answer

    async def by_model(request: web.Request) -> web.StreamResponse:
        if provider.asked[-1]["model"] == "blind":
            await asyncio.Event().wait()
        return await answer(request)

    provider.answer = by_model


async def test_of_two_parallel_attempts_each_has_its_span(sending, hedging, collector, provider, client):
    assert await post(client, stream=True) == 200
    spans = await collector.received(4)
    slow, fast = named(spans, "chat blind"), named(spans, "chat small")
    assert slow.attributes["openclaw.attempt.outcome"] == "cancelled"
    assert fast.attributes["openclaw.attempt.outcome"] == "answered"
    assert slow.start < fast.start < slow.end
    sent = {
        asked["model"]: headers["traceparent"] for asked, headers in zip(provider.asked, provider.headers, strict=True)
    }
    assert sent == {"blind": f"00-{slow.trace}-{slow.id}-01", "small": f"00-{fast.trace}-{fast.id}-01"}


@pytest.fixture
def embedding(config, provider):
    config["memory"] = {"search": {"provider": "fake", "model": "small"}}

    async def answer(_request: web.Request) -> web.StreamResponse:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        return web.json_response({"object": "list", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    provider.answer = answer


async def test_an_embedding_is_a_span_of_its_request(embedding, sending, collector, provider, client):
    async with client.post("/v1/embeddings", json={"model": "openclaw", "input": "a secret plan"}) as response:
        assert response.status == 200
    spans = await collector.received(2)
    request, attempt = named(spans, "POST /v1/embeddings"), named(spans, "embeddings small")
    assert attempt.parent == request.id
    assert attempt.attributes["gen_ai.operation.name"] == "embeddings"
    assert attempt.attributes["gen_ai.usage.input_tokens"] == 3
    assert provider.headers[0]["traceparent"] == f"00-{attempt.trace}-{attempt.id}-01"
    assert len(spans) == 2


async def test_a_background_run_that_outlives_its_request_is_in_the_same_trace(collector, provider, client):
    provider.says("Hello")
    body = {"model": "openclaw", "input": "hi", "background": True}
    async with client.post("/v1/responses", json=body) as response:
        assert response.status == 200
    spans = await collector.received(3)
    request, run = named(spans, "POST /v1/responses"), named(spans, "invoke_agent main")
    assert (run.trace, run.parent) == (request.trace, request.id)


@pytest.fixture
def naming_sessions(collector, config):
    config["diagnostics"]["otel"]["sessionAttribute"] = True


async def test_a_conversation_is_named_by_a_hash_where_that_is_enabled(naming_sessions, collector, provider, client):
    provider.says("Hello")
    for user in ("somebody", "somebody", "another"):
        assert await post(client, user=user) == 200
    spans = await collector.received(9)
    ids = [span.attributes["gen_ai.conversation.id"] for span in spans if span.name == "invoke_agent main"]
    assert len(ids) == 3
    assert len(set(ids)) == 2
    assert not any(b"somebody" in body for body in collector.bodies)


@pytest.fixture
def sampling(collector, config):
    config["diagnostics"]["otel"]["sampleRate"] = 0


async def test_with_a_rate_of_zero_only_what_clients_record_is_recorded(sampling, collector, provider, client):
    provider.says("Hello")
    for _ in range(20):
        assert await post(client) == 200
    assert await post(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) == 200
    assert {span.trace for span in await collector.received(3)} == {TRACE}


@pytest.fixture
def with_headers(collector, config):
    config["diagnostics"]["otel"] |= {
        "headers": {"X-Collector-Token": "secret-of-the-collector"},
        "serviceName": "mine",
    }


async def test_the_collector_gets_the_configured_headers_and_the_name_of_the_service(
    with_headers, collector, provider, client
):
    provider.says("Hello")
    assert await post(client) == 200
    spans = await collector.received(3)
    assert {headers["x-collector-token"] for headers in collector.headers} == {"secret-of-the-collector"}
    assert {span.resource["service.name"] for span in spans} == {"mine"}


async def test_spans_are_counted(collector, provider, client):
    provider.says("Hello")
    assert await post(client) == 200
    await collector.received(3)
    async with asyncio.timeout(10):
        while (now := await scraped(client))[SPANS, {"outcome": "sent"}] < 3:
            await asyncio.sleep(0.01)
    assert now[SPANS, {"outcome": "lost"}] == 0


async def test_each_event_on_a_web_socket_is_a_request_of_its_own(collector, provider, client):
    provider.says("Hello")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    async with client.ws_connect("/v1/responses", headers=headers) as socket:
        for _ in range(2):
            await socket.send_json({"type": "response.create", "model": "openclaw", "input": "hi"})
            while (await socket.receive_json())["type"] != "response.completed":
                pass
    spans = await collector.received(7)
    assert {span.trace for span in spans} == {TRACE}
    events = [span for span in spans if span.name == "GET /v1/responses"]
    runs = [span for span in spans if span.name == "invoke_agent main"]
    assert {run.parent for run in runs} == {event.id for event in events}
    assert len(runs) == len(events) == 2
    assert len([span for span in spans if span.name == "GET /v1/responses (WebSocket)"]) == 1
