"""Counts finished runs for `/metrics`: attempts, failovers, rescues, tokens, cost and tool calls.

All series of one configuration's models are made at start or at their first use, so a run only adds numbers. Models,
agents and tool servers that the configuration does not name are counted as `other`.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from gateway.core.names import ModelRef
from gateway.core.price import NANODOLLARS, Price, cost
from gateway.core.tool_name import tool_prefix
from gateway.core.usage import Usage
from gateway.metrics import catalog
from gateway.metrics.catalog import OTHER
from gateway.metrics.registry import Counter, Histogram, Registry
from gateway.runs.attempt import ANSWERED, CANCELLED, Attempt
from gateway.runs.trace import RunFinished
from gateway.upstream.provider import Provider

_CHANNEL = "webchat"  # what OpenClaw calls its HTTP API; a client's own `x-openclaw-message-channel` is no label
_LANE, _SUSPENDED = "main", "false"
_ENDINGS = (ANSWERED, CANCELLED)


class RunMetrics:
    """An observer of finished runs. `models` and `agents` are those that the configuration names."""

    def __init__(
        self,
        registry: Registry,
        providers: Mapping[str, Provider],
        *,
        models: Iterable[ModelRef],
        agents: Iterable[str],
        tool_servers: Iterable[str] = (),
    ) -> None:
        self._registry = registry
        self._agents = frozenset(agents)
        self._servers = {tool_prefix(name): name for name in tool_servers}
        self._models: dict[str, dict[str, _ModelMetrics]] = {}
        for ref in models:
            row = providers.get(ref.provider)
            wire = OTHER if row is None else row.row_for(ref.model).wire
            price = None if row is None else row.prices.get(ref.model)
            made = _ModelMetrics(registry, ref.provider, ref.model, wire, price)
            made.prepare()
            self._models.setdefault(ref.provider, {})[ref.model] = made
        self._others = {name: _ModelMetrics(registry, name, OTHER, OTHER) for name in self._models}
        self._other = _ModelMetrics(registry, OTHER, OTHER, OTHER)

    def __call__(self, finished: RunFinished) -> None:
        """Count one run."""
        trace = finished.trace
        attempts = trace.attempts
        metered = False
        for attempt in attempts:
            metrics = self._metrics(attempt.ref)
            metrics.count(attempt)
            if attempt.usage is not None:
                metered = True
                if not attempt.estimated:
                    metrics.count_tokens(trace.agent if trace.agent in self._agents else OTHER, attempt.usage)
        if not metered and finished.usage is not None and trace.current is not None:
            agent = trace.agent if trace.agent in self._agents else OTHER
            self._metrics(trace.current.ref).count_tokens(agent, finished.usage)
        if len(attempts) > 1:
            self._count_failovers(attempts)
            if trace.rescues:
                outcome = finished.outcome if finished.outcome in _ENDINGS else "failed"
                self._registry.counter(catalog.RESCUES, outcome).add()
        for use in trace.tools:
            server = self._servers.get(use.tool.partition("__")[0], OTHER)
            self._registry.counter(catalog.TOOL_CALLS, server, use.outcome).add()

    def _metrics(self, ref: ModelRef) -> "_ModelMetrics":
        models = self._models.get(ref.provider)
        return (None if models is None else models.get(ref.model)) or self._others.get(ref.provider, self._other)

    def _count_failovers(self, attempts: list[Attempt]) -> None:
        for before, after in pairwise(attempts):
            if before.outcome is not None and before.outcome not in _ENDINGS and before.ref != after.ref:
                source, target = self._metrics(before.ref), self._metrics(after.ref)
                labels = (*source.names, *target.names, before.outcome, _LANE, _SUSPENDED)
                self._registry.counter(catalog.FAILOVERS, *labels).add()


class _ModelMetrics:
    """The series of one model; `names` are its labels `provider` and `model`."""

    def __init__(self, registry: Registry, provider: str, model: str, wire: str, price: Price | None = None) -> None:
        self._price = price
        self.names = (provider, model)
        self._registry = registry
        self._wire = wire
        self._attempts: dict[str, Counter] = {}
        self._duration: Histogram | None = None
        self._first_token: Histogram | None = None
        self._tokens: dict[str, _TokenCounters] = {}

    def prepare(self) -> None:
        """Make the series that every model has, so that its first request is already a change of a known number."""
        self._attempts |= {kind: self._attempts_that(kind, "") for kind in (ANSWERED, CANCELLED)}

    def count(self, attempt: Attempt) -> None:
        """Count one attempt."""
        outcome = attempt.outcome or CANCELLED
        counter = self._attempts.get(outcome)
        if counter is None:
            if outcome in _ENDINGS:
                counter = self._attempts_that(outcome, "")
            else:
                counter = self._attempts_that("failed", outcome)
            self._attempts[outcome] = counter
        counter.value += 1
        if attempt.seconds is not None:
            if self._duration is None:
                self._duration = self._registry.histogram(catalog.UPSTREAM_SECONDS, *self.names)
            self._duration.observe(attempt.seconds)
        if attempt.first_event is not None:
            if self._first_token is None:
                self._first_token = self._registry.histogram(catalog.FIRST_TOKEN_SECONDS, *self.names)
            self._first_token.observe(attempt.first_event)

    def count_tokens(self, agent: str, usage: Usage) -> None:
        """Count tokens and, if the price is known, what they cost."""
        counters = self._tokens.get(agent)
        if counters is None:
            counters = self._tokens[agent] = _TokenCounters(self._registry, agent, *self.names)
        counters.count(usage, None if self._price is None else cost(usage, self._price))

    def _attempts_that(self, outcome: str, reason: str) -> Counter:
        return self._registry.counter(catalog.ATTEMPTS, *self.names, self._wire, outcome, reason)


class _TokenCounters:
    """The tokens of one model for one agent. A kind that its provider never reports gets no series."""

    def __init__(self, registry: Registry, agent: str, provider: str, model: str) -> None:
        self._registry = registry
        self._labels = (agent, _CHANNEL, model, provider)
        self._input, self._output = self._made("input"), self._made("output")
        self._kinds: dict[str, Counter] = {}
        self._cost: Counter | None = None

    def count(self, usage: Usage, nanodollars: int | None) -> None:
        """Count one answer."""
        self._input.value += usage.prompt
        self._output.value += usage.completion
        if usage.cached:
            self._kind("cached").value += usage.cached
        if usage.cache_write:
            self._kind("cache_write").value += usage.cache_write
        if usage.reasoning:
            self._kind("reasoning").value += usage.reasoning
        if nanodollars is not None:
            if self._cost is None:
                self._cost = self._registry.counter(catalog.COST, *self._labels)
            self._cost.value += nanodollars / NANODOLLARS

    def _kind(self, kind: str) -> Counter:
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = self._made(kind)
        return known

    def _made(self, kind: str) -> Counter:
        return self._registry.counter(catalog.TOKENS, *self._labels, kind)
