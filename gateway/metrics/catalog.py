"""Every metric of the gateway: name, labels, merge rule. docs/metrics.md has the same table, and a test compares them.

Label values come from the configuration and from the code only, never from a request: whatever else would have to be
named is `other`. Names that begin with `openclaw_` but not with `openclaw_gateway_` are OpenClaw's, with its labels.
"""

from gateway.metrics.registry import Family

OTHER = "other"
"""The label value of everything that the configuration does not name."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_SHORT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)

REQUESTS = Family(
    "openclaw_gateway_requests_total",
    "counter",
    "Requests that ended, by route template, status class and outcome (completed, refused, failed, cancelled).",
    ("endpoint", "status", "outcome"),
)
REQUEST_SECONDS = Family(
    "openclaw_gateway_request_duration_seconds",
    "histogram",
    "From the head of a request to the end of its response.",
    ("endpoint",),
    buckets=_SECONDS,
)
FIRST_BYTE_SECONDS = Family(
    "openclaw_gateway_first_byte_seconds",
    "histogram",
    "From the head of a request that ran an agent to the first byte of its response.",
    ("endpoint",),
    buckets=_SECONDS,
)
OVERHEAD_SECONDS = Family(
    "openclaw_gateway_overhead_seconds",
    "histogram",
    "The gateway's own part of a request that ran an agent: its duration without the run.",
    ("endpoint",),
    buckets=_SHORT,
)
IN_FLIGHT = Family("openclaw_gateway_requests_in_flight", "gauge", "Requests that are being answered.", ("endpoint",))
CONNECTIONS = Family("openclaw_gateway_connections", "gauge", "Open connections of clients.")
ATTEMPTS = Family(
    "openclaw_gateway_upstream_attempts_total",
    "counter",
    "Requests to providers that ended: outcome is answered, failed or cancelled, reason the kind of the failure.",
    ("provider", "model", "wire", "outcome", "reason"),
)
UPSTREAM_SECONDS = Family(
    "openclaw_gateway_upstream_duration_seconds",
    "histogram",
    "From a request to a provider to the end of its answer or its failure.",
    ("provider", "model"),
    buckets=_SECONDS,
)
FIRST_TOKEN_SECONDS = Family(
    "openclaw_gateway_upstream_first_token_seconds",
    "histogram",
    "From a request to a provider to the first event of its streamed answer.",
    ("provider", "model"),
    buckets=_SECONDS,
)
FAILOVERS = Family(
    "openclaw_model_failover_total",
    "counter",
    "Failures after which another model was asked. lane is always main, suspended always false.",
    ("from_provider", "from_model", "to_provider", "to_model", "reason", "lane", "suspended"),
)
RESCUES = Family(
    "openclaw_gateway_rescues_total",
    "counter",
    "Runs whose answer broke after the client had a part of it and that asked a model for the remaining part.",
    ("outcome",),
)
CIRCUIT_OPEN = Family(
    "openclaw_gateway_circuit_open",
    "gauge",
    "1 while a model cools down with every key that it has, 0 otherwise.",
    ("provider", "model"),
    merge="max",
)
TOKENS = Family(
    "openclaw_model_tokens_total",
    "counter",
    "Tokens that providers reported. input includes cached and cache_write, output includes reasoning.",
    ("agent", "channel", "model", "provider", "token_type"),
)
COST = Family(
    "openclaw_model_cost_usd_total",
    "counter",
    "What runs cost in US dollars, where the model's price is known.",
    ("agent", "channel", "model", "provider"),
)
TOOL_CALLS = Family(
    "openclaw_gateway_tool_calls_total",
    "counter",
    "Tool calls that agents ran themselves, by tool server.",
    ("server", "outcome"),
)
AUTH_FAILURES = Family(
    "openclaw_gateway_auth_failures_total",
    "counter",
    "Refused callers, by class of credential and reason (missing, wrong, refused, locked).",
    ("class", "reason"),
)
LOCKS = Family("openclaw_gateway_locks_active", "gauge", "Clients that are locked out.", merge="max")
REDIS_UP = Family(
    "openclaw_gateway_redis_up", "gauge", "1 while the shared Redis is in use; absent without one.", merge="min"
)
REDIS_SECONDS = Family(
    "openclaw_gateway_redis_latency_seconds", "gauge", "Duration of the last heartbeat to Redis.", merge="max"
)
DEGRADED = Family(
    "openclaw_gateway_degraded", "gauge", "1 while an optional part is not available.", ("part",), merge="max"
)
DRAINING = Family("openclaw_gateway_draining", "gauge", "1 once the process drains.", merge="max")
BACKGROUND_RUNS = Family("openclaw_gateway_background_runs", "gauge", "Background runs of this gateway.")
GENERATION = Family(
    "openclaw_gateway_config_generation",
    "gauge",
    "The configuration in use, counted from 1 at the start.",
    merge="min",
)
RELOAD_ACCEPTED = Family(
    "openclaw_gateway_config_last_reload_successful",
    "gauge",
    "0 after a changed configuration was refused; the earlier one stays in use.",
    merge="min",
)
TRACE_SPANS = Family(
    "openclaw_gateway_trace_spans_total",
    "counter",
    "Spans that the collector took, and spans that were lost.",
    ("outcome",),
)
LEDGER_ROWS = Family(
    "openclaw_gateway_ledger_rows_total",
    "counter",
    "Rows of the ledger that were written, and rows that were lost.",
    ("outcome",),
)
LOOP_DELAY = Family(
    "openclaw_gateway_event_loop_delay_max_seconds",
    "gauge",
    "The longest delay of the event loop in the last half minute or more.",
    merge="max",
)
BUILD = Family(
    "openclaw_gateway_build_info", "gauge", "Always 1; the labels name the program.", ("version", "python"), merge="max"
)
STARTED = Family(
    "process_start_time_seconds", "gauge", "When the process started, in Unix time; of the oldest one.", merge="min"
)
CPU_SECONDS = Family("process_cpu_seconds_total", "counter", "CPU time of the process.")
MEMORY_BYTES = Family("process_resident_memory_bytes", "gauge", "Resident memory of the process.")
OPEN_FILES = Family("process_open_fds", "gauge", "Open file descriptors of the process.")
DROPPED = Family(
    "openclaw_prometheus_series_dropped_total",
    "counter",
    "Series that are missing here because a process has too many.",
)

FAMILIES = tuple(family for family in list(globals().values()) if isinstance(family, Family))
"""All of them, in the order of this file."""
