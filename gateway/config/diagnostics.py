"""`diagnostics`: traces for an OpenTelemetry collector, under OpenClaw's names."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from yarl import URL

from gateway.config import accepted
from gateway.config.secret import Secret
from gateway.config.section import Section


def collector_url(text: str) -> str:
    """The text. Raises ValueError if it is not the address of a collector."""
    problem = "is not the http or https URL of a collector, such as http://localhost:4318"
    try:
        url = URL(text)
    except ValueError:
        raise ValueError(problem) from None
    if url.scheme not in ("http", "https") or not url.host or url.port is None:
        raise ValueError(problem)
    if url.user is not None or url.password is not None:
        raise ValueError("holds a login; move it to diagnostics.otel.headers, such as an Authorization header")
    return text


CollectorUrl = Annotated[str, AfterValidator(collector_url)]


class CaptureContentConfig(Section):
    """`diagnostics.otel.captureContent`. Each part is enabled on its own.

    `max_bytes` (ours) limits each attribute with content.
    """

    UNUSED: ClassVar[frozenset[str]] = accepted.CAPTURE_CONTENT

    enabled: bool = False
    input_messages: bool = False
    output_messages: bool = False
    system_prompt: bool = False
    max_bytes: Annotated[int, Field(ge=256, le=1024 * 1024)] = 16 * 1024


class OtelConfig(Section):
    """`diagnostics.otel`. `endpoint` is the collector's address, `traces_endpoint` the whole URL for traces.

    `sample_rate` is the part of the traces that is recorded, where the client has not decided it. `session_attribute`
    adds a hash of the conversation's key. `accept_trace_context` (ours): a trace of the client goes on here.
    `capture_content` adds prompts and answers to spans; True stands for all of it but system prompts.
    """

    UNUSED: ClassVar[frozenset[str]] = accepted.OTEL
    INERT: ClassVar[frozenset[str]] = frozenset({"protocol"})

    enabled: bool = False
    endpoint: CollectorUrl = "http://localhost:4318"
    traces_endpoint: CollectorUrl | None = None
    protocol: Literal["http/protobuf"] = "http/protobuf"
    service_name: Annotated[str, Field(min_length=1)] = "openclaw-gateway"
    headers: dict[str, Secret] = Field(default_factory=dict)
    traces: bool = True
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    session_attribute: bool = False
    accept_trace_context: bool = True
    capture_content: bool | CaptureContentConfig = False


class DiagnosticsConfig(Section):
    """`diagnostics`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.DIAGNOSTICS

    enabled: bool = True
    otel: OtelConfig = OtelConfig()

    @property
    def traces(self) -> bool:
        """Whether traces are exported."""
        return self.enabled and self.otel.enabled and self.otel.traces
