import random
import string
from dataclasses import replace

import pytest

from gateway.core.names import ModelRef
from gateway.core.price import PICODOLLARS, Price, Rates
from gateway.core.upstream_error import UpstreamKind
from gateway.core.usage import Usage
from gateway.metrics import catalog
from gateway.metrics.registry import Registry
from gateway.runs.attempt import ANSWERED, CANCELLED
from gateway.runs.run_metrics import RunMetrics
from gateway.runs.run_record import ToolUse
from gateway.runs.trace import RunFinished, RunTrace
from gateway.upstream.provider import Provider

A, B = ModelRef("p", "a"), ModelRef("q", "b")


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def metrics(registry: Registry) -> RunMetrics:
    return RunMetrics(registry, {}, models=[A, B], agents=["main"], tool_servers=["files", "the web"])


def finished(time, *attempts, agent="main", usage=None, outcome=ANSWERED, tools=(), rescues=0) -> RunFinished:
    """A run with these attempts: pairs of model and outcome, each of which takes a second."""
    trace = RunTrace(agent, time)
    for ref, result in attempts:
        trace.begin(ref, "apiKey", 0.0)
        time.now += 1.0
        trace.end(result, 200)
    trace.tools, trace.rescues = tuple(tools), rescues
    trace.close(outcome)
    return RunFinished(trace, usage, "", outcome, failed=False)


def series(registry: Registry, family) -> dict[str, object]:
    return {labels: value for labels, value in registry.snapshot()[family.name].items() if value}


def test_every_kind_of_tokens_has_its_series(registry, metrics, time):
    usage = Usage(prompt=100, completion=20, total=120, cached=60, reasoning=5, cache_write=30)
    for _ in range(2):
        metrics(finished(time, (A, ANSWERED), usage=usage))
    common = 'agent="main",channel="webchat",model="a",provider="p",token_type='
    assert series(registry, catalog.TOKENS) == {
        f'{common}"input"': 200,
        f'{common}"output"': 40,
        f'{common}"cached"': 120,
        f'{common}"cache_write"': 60,
        f'{common}"reasoning"': 10,
    }


def test_tokens_belong_to_the_model_that_answered(registry, metrics, time):
    metrics(finished(time, (A, "timeout"), (B, ANSWERED), usage=Usage(7, 0, 7)))
    assert list(series(registry, catalog.TOKENS)) == [
        'agent="main",channel="webchat",model="b",provider="q",token_type="input"'
    ]


def test_a_known_price_gives_the_cost_and_an_unknown_one_no_series(registry, time):
    price = Price(Rates(input=2 * PICODOLLARS, output=10 * PICODOLLARS))
    rows = {name: Provider(name, f"http://{name}.example/v1") for name in ("p", "q")}
    rows["p"] = replace(rows["p"], prices={"a": price})
    metrics = RunMetrics(registry, rows, models=[A, B], agents=["main"])
    metrics(finished(time, (A, ANSWERED), usage=Usage(1000, 100, 1100)))
    metrics(finished(time, (B, ANSWERED), usage=Usage(1000, 100, 1100)))
    assert series(registry, catalog.COST) == {'agent="main",channel="webchat",model="a",provider="p"': 0.003}


def test_a_metered_run_counts_each_attempt_by_its_model_but_no_estimates(registry, metrics, time):
    run = finished(time, (A, "stall"), (B, ANSWERED), (B, ANSWERED), usage=Usage(9, 9, 18))
    first, second, third = run.trace.attempts
    first.usage, second.usage = Usage(5, 1, 6), Usage(7, 2, 9)
    third.usage, third.estimated = Usage(100, 100, 200), True
    metrics(run)
    tail = 'token_type="input"'
    assert {labels: value for labels, value in series(registry, catalog.TOKENS).items() if labels.endswith(tail)} == {
        f'agent="main",channel="webchat",model="a",provider="p",{tail}': 5,
        f'agent="main",channel="webchat",model="b",provider="q",{tail}': 7,
    }


def test_only_a_failure_before_another_model_is_a_failover(registry, metrics, time):
    metrics(finished(time, (A, "timeout"), (A, "timeout"), (B, ANSWERED)))
    metrics(finished(time, (A, CANCELLED), (B, ANSWERED)))  # a hedge
    metrics(finished(time, (A, ANSWERED), (B, ANSWERED)))  # two rounds
    labels = 'from_provider="p",from_model="a",to_provider="q",to_model="b",reason="timeout",lane="main"'
    assert series(registry, catalog.FAILOVERS) == {f'{labels},suspended="false"': 1}


def test_tool_calls_are_counted_by_server(registry, metrics, time):
    tools = [
        ToolUse("files__read", 0.1, ANSWERED),
        ToolUse("the-web__get", 0.1, "timeout"),
        ToolUse("x__y", 0, "error"),
    ]
    metrics(finished(time, (A, ANSWERED), tools=tools))
    assert series(registry, catalog.TOOL_CALLS) == {
        'server="files",outcome="answered"': 1,
        'server="the web",outcome="timeout"': 1,
        'server="other",outcome="error"': 1,
    }


def test_a_run_without_an_attempt_counts_nothing(registry, metrics, time):
    before = registry.snapshot()
    metrics(finished(time, outcome="invalid_request_error"))
    assert registry.snapshot() == before


def test_100_000_unknown_names_leave_the_number_of_series_constant(registry, metrics, time):
    chars = random.Random(7)  # noqa: S311  # no secret

    def word() -> str:
        return "".join(chars.choices(string.printable, k=8))

    def one() -> None:
        kind = chars.choice([ANSWERED, CANCELLED, *(kind.value for kind in UpstreamKind)])
        provider = chars.choice(["p", word()])
        tool = ToolUse(f"{word()}__{word()}", 0.0, "error")
        metrics(finished(time, (ModelRef(provider, word()), kind), agent=word(), usage=Usage(1, 1, 2), tools=[tool]))

    for _ in range(1000):
        one()
    before = {name: set(by) for name, by in registry.snapshot().items()}
    for _ in range(100_000):
        one()
    assert {name: set(by) for name, by in registry.snapshot().items()} == before
    assert registry.dropped.value == 0
