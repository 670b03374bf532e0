"""Makes the traces of a process from `diagnostics.otel`. Nothing of OpenTelemetry is imported unless it is enabled."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import urlsplit

from gateway.config.diagnostics import CaptureContentConfig, OtelConfig, collector_url
from gateway.config.problems import Problem
from gateway.config.root import Config
from gateway.traces.content import NO_CONTENT, ContentPolicy
from gateway.traces.exporter import Exporter
from gateway.traces.sampling import Sampler
from gateway.traces.traces import Traces

_PATH = "/v1/traces"
_PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_VARIABLE, _TRACES_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_SERVICE_VARIABLE = "OTEL_SERVICE_NAME"


def traces_from(config: Config, env: Mapping[str, str]) -> Traces | None:
    """The traces of this process, None if they are off. Its exporter has not started."""
    otel = config.diagnostics.otel
    if not config.diagnostics.traces:
        return None
    from gateway.traces.opentelemetry import otlp_sink  # noqa: PLC0415  an extra, and a fifth of a second

    headers = {name: value.get_secret_value() for name, value in otel.headers.items()}
    sink = otlp_sink(url_from(otel, env), headers, env.get(_SERVICE_VARIABLE, "").strip() or otel.service_name)
    sampler = Sampler(otel.sample_rate, accept=otel.accept_trace_context)
    content = content_policy(otel.capture_content)
    return Traces(sampler, Exporter(sink), names_session=otel.session_attribute, content=content)


def content_policy(config: bool | CaptureContentConfig) -> ContentPolicy:
    """The content of spans. As in OpenClaw, `true` leaves out system prompts, and `enabled` alone adds nothing."""
    if isinstance(config, bool):
        return ContentPolicy(input=config, output=config)
    if not config.enabled:
        return NO_CONTENT
    return ContentPolicy(config.input_messages, config.output_messages, config.system_prompt, config.max_bytes)


def tracing_problems(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    """Why traces that are enabled can't be exported."""
    if not config.diagnostics.traces:
        return
    if not all(map(_is_installed, _PACKAGES)):
        text = "OpenTelemetry's packages are not installed; install the extra: pip install 'openclaw-gateway[otel]'"
        yield Problem("diagnostics.otel.enabled", text)
    for variable in (_VARIABLE, _TRACES_VARIABLE):
        if url := env.get(variable, "").strip():
            try:
                collector_url(url)
            except ValueError as error:
                yield Problem(variable, str(error))


def url_from(otel: OtelConfig, env: Mapping[str, str]) -> str:
    """The URL for traces. As in OpenClaw, `tracesEndpoint` wins over the variables, and those over `endpoint`."""
    if whole := otel.traces_endpoint or env.get(_TRACES_VARIABLE, "").strip():
        return whole
    base = env.get(_VARIABLE, "").strip() or otel.endpoint
    return base if urlsplit(base).path.endswith(_PATH) else base.rstrip("/") + _PATH


def _is_installed(package: str) -> bool:
    """Whether a package is there; nothing is imported."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
