import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.trace_context import TraceContext
from gateway.core.usage import Usage
from gateway.runs.attempt import ANSWERED, CANCELLED
from gateway.runs.run_record import LEFT_OUT, ToolUse
from gateway.runs.trace import Origin, RunFinished, RunTrace
from gateway.traces import names
from gateway.traces.exporter import Exporter
from gateway.traces.opentelemetry import OpenTelemetrySink
from gateway.traces.sampling import Sampler
from gateway.traces.traces import Traces
from gateway.upstream.provider import Provider

CONTEXT = TraceContext(trace_id=1, span_id=100, sampled=True, parent=50)
NOW = 5000.0  # Unix time at the end of the run
PROVIDERS = {
    "home": Provider("home", "https://models.example:8443/v1"),
    "cloud": Provider("cloud", "https://aws.example/", wire="bedrock-converse-stream"),
    "google": Provider("google", "https://google.example/v1", wire="google-generative-ai"),
}


class Clock:
    now = 10.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def exported():
    """The spans that OpenTelemetry's SDK got for a finished run, in their order."""

    async def export(trace, outcome=ANSWERED, usage=None, *, failed=False, **options):
        memory = InMemorySpanExporter()
        exporter = Exporter(OpenTelemetrySink(memory, "tests"), interval=0.01)
        traces = Traces(Sampler(1.0, accept=True), exporter, clock=lambda: NOW, **options)
        exporter.start()
        trace.close(outcome)
        traces.observer(PROVIDERS)(RunFinished(trace, usage, trace.client, outcome, failed))
        await exporter.close()
        return memory.get_finished_spans()

    return export


def run_of(clock, context=CONTEXT, endpoint="/v1/chat/completions", session=None):
    return RunTrace("main", clock, "user:ann", origin=Origin("req", endpoint, session, context=context))


def attempt(trace, ref, outcome, seconds, status=200, *, waited=0.0, reason=None):
    began = trace.begin(ModelRef(*ref.split("/")), "apiKey", waited)
    trace._clock.now += seconds
    trace.end(outcome, status, reason)
    return began


async def test_times_are_those_of_the_clock_on_the_wall(clock, exported):
    trace = run_of(clock)
    clock.now += 1
    attempt(trace, "home/big", ANSWERED, 2)
    clock.now += 0.5
    run, asked = await exported(trace)
    assert (run.start_time, run.end_time) == (4_996_500_000_000, 5_000_000_000_000)
    assert (asked.start_time, asked.end_time) == (4_997_500_000_000, 4_999_500_000_000)


async def test_attempts_are_numbered_below_the_run_and_name_their_provider(clock, exported):
    trace = run_of(clock)
    attempt(trace, "home/big", "overloaded", 1, 503, reason="a provider's own words")
    attempt(trace, "cloud/large", "timeout", 1, None, waited=0.25)
    attempt(trace, "google/gemini", CANCELLED, 1, None)
    run, *attempts = await exported(trace, CANCELLED)
    assert [one.name for one in attempts] == ["chat big", "chat large", "generate_content gemini"]
    assert [one.context.span_id for one in attempts] == [101, 102, 103]
    assert {one.parent.span_id for one in attempts} == {run.context.span_id} == {100}
    first, second, third = ({**one.attributes} for one in attempts)
    assert (first[names.PROVIDER], first[names.SERVER_ADDRESS], first[names.SERVER_PORT]) == (
        "home",
        "models.example",
        8443,
    )
    assert (first[names.ERROR], first[names.STATUS]) == ("overloaded", 503)
    assert (second[names.PROVIDER], second[names.ATTEMPT_PAUSE], second[names.ERROR]) == (
        "aws.bedrock",
        0.25,
        "timeout",
    )
    assert names.STATUS not in second
    assert third[names.PROVIDER] == "gcp.gemini"
    assert names.ERROR not in third
    assert [one.status.status_code.name for one in attempts] == ["ERROR", "ERROR", "UNSET"]
    assert "words" not in run.to_json() + "".join(one.to_json() for one in attempts)


async def test_tokens_are_named_by_kind_and_an_estimate_is_not_sent(clock, exported):
    trace = run_of(clock)
    attempt(trace, "home/big", ANSWERED, 1).usage = Usage(100, 20, 120, cached=40, cache_write=30, reasoning=5)
    guessed = attempt(trace, "home/big", CANCELLED, 1)
    guessed.usage, guessed.estimated = Usage(9, 9, 18), True
    run, counted, estimated = await exported(trace, usage=Usage(1, 2, 3))
    assert {name: value for name, value in counted.attributes.items() if name.startswith("gen_ai.usage")} == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 30,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }
    assert not any(name.startswith("gen_ai.usage") for name in estimated.attributes)
    assert (run.attributes[names.INPUT_TOKENS], run.attributes[names.OUTPUT_TOKENS]) == (1, 2)


async def test_tool_calls_that_ran_are_spans_and_those_left_out_are_not(clock, exported):
    trace = run_of(clock)
    trace.ran(ToolUse("files__read", 0.5, ANSWERED, 11.0))
    trace.ran(ToolUse("files__write", 0.25, "timeout", 12.0))
    trace.ran(ToolUse("files__list", 0.0, LEFT_OUT, 12.0))
    clock.now = 20.0
    _run, read, write = await exported(trace)
    assert (read.name, read.start_time, read.end_time) == ("execute_tool files__read", 4991 * 10**9, 4_991_500_000_000)
    assert (read.status.status_code.name, write.status.status_code.name) == ("UNSET", "ERROR")
    assert write.attributes[names.ERROR] == "timeout"
    assert {read.parent.span_id, write.parent.span_id} == {100}
    assert len({read.context.span_id, write.context.span_id, 100}) == 3


async def test_a_failed_run_names_its_failure(clock, exported):
    trace = run_of(clock)
    attempt(trace, "home/big", "auth", 1, 401)
    run, _ = await exported(trace, "auth", failed=True)
    assert run.status.status_code.name == "ERROR"
    assert run.attributes[names.ERROR] == run.attributes[names.RUN_OUTCOME] == "auth"


@pytest.mark.parametrize("enabled", [False, True])
async def test_a_conversation_is_named_by_a_hash_only_if_that_is_enabled(clock, exported, enabled):
    session = SessionKey("user:ann", "main", "my diary")
    (run,) = await exported(run_of(clock, session=session), names_session=enabled)
    assert (names.CONVERSATION in run.attributes) is enabled
    assert "diary" not in run.to_json()


@pytest.mark.parametrize(
    "context", [None, TraceContext(trace_id=1, span_id=100, sampled=False)], ids=["untraced", "unsampled"]
)
async def test_a_run_that_is_not_recorded_has_no_spans(clock, exported, context):
    trace = run_of(clock, context)
    attempt(trace, "home/big", ANSWERED, 1)
    assert await exported(trace) == ()
