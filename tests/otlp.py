"""A collector of traces: a real OTLP/HTTP receiver that decodes what it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MAX_WAIT = 15.0  # seconds


@dataclass(frozen=True)
class ReceivedSpan:
    """A received span. Ids are hexadecimal, times nanoseconds."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    state: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """`status` is what it answers with, and `location` where it redirects to. `headers` are those of the requests, and
    `bodies` their bytes.
    """

    port: int = 0
    status: int = 200
    location: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.path == "/v1/traces"
        assert request.content_type == "application/x-protobuf"
        async with self.news:
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.bodies.append(body)
            if self.status == 200:
                self.spans += decoded(body)
            self.news.notify_all()
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})

    async def received(self, count: int) -> list[ReceivedSpan]:
        """The first `count` spans or more, in the order of their start."""
        async with asyncio.timeout(MAX_WAIT), self.news:
            await self.news.wait_for(lambda: len(self.spans) >= count)
        return sorted(self.spans, key=lambda span: span.start)

    async def requested(self, count: int) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(MAX_WAIT), self.news:
            await self.news.wait_for(lambda: len(self.bodies) >= count)


def decoded(body: bytes) -> list[ReceivedSpan]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        ReceivedSpan(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.trace_state,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code == 2,
            attributes(span.attributes),
            attributes(resource.resource.attributes),
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _decoded_value(pair.value) for pair in pairs}


def _decoded_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_decoded_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{path:.*}", collector.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        collector.port = runner.addresses[0][1]
        yield collector
    finally:
        await runner.cleanup()
