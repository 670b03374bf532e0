"""`gateway`: its address, the proxies in front of it, and our own sections for streams, retries and Redis."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gateway.config import accepted
from gateway.config.auth import AuthConfig
from gateway.config.budgets import BudgetAlertsConfig, BudgetConfig
from gateway.config.endpoints import HttpConfig
from gateway.config.keys import KeyConfig
from gateway.config.ledger import LedgerConfig
from gateway.config.limits import LimitConfig
from gateway.config.metrics import MetricsConfig
from gateway.config.secret import Secret
from gateway.config.section import Count, Milliseconds, Section
from gateway.config.state import StateConfig

Bind = Literal["loopback", "lan", "tailnet", "auto", "custom"]


class ControlUiConfig(Section):
    """The web pages, and the browser origins besides this machine's own that may call."""

    UNUSED: ClassVar[frozenset[str]] = accepted.CONTROL_UI
    INERT: ClassVar[frozenset[str]] = frozenset({"enabled"})

    enabled: bool = True
    allowed_origins: tuple[str, ...] = ()


class TlsConfig(Section):
    """TLS at the gateway itself. `ca_path` (ours in its meaning) makes clients show a certificate."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TLS

    enabled: bool = False
    cert_path: str | None = None
    key_path: str | None = None
    ca_path: str | None = None


class ReloadConfig(Section):
    """Whether a changed file is loaded while running; `hot` and `restart` are OpenClaw's older names of `hybrid`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.RELOAD

    mode: Literal["off", "hybrid", "hot", "restart"] = "hybrid"


class StreamConfig(Section):
    """Ours: what a streaming client sees while it waits, and how a broken stream is mended."""

    heartbeat_ms: Milliseconds = 15_000
    opening_heartbeat_ms: Milliseconds = 10_000
    hold_back: Literal["none", "all"] | Count = "none"
    """Characters withheld from the client at first, so that a broken stream can be started afresh unseen."""
    rescue: bool = True


class RetryConfig(Section):
    """Ours: the limits of one run, all inside `total_timeout_ms`, and how its models are asked again."""

    connect_timeout_ms: Milliseconds = 10_000
    total_timeout_ms: Milliseconds = 600_000
    first_event_timeout_ms: Milliseconds = 12_000
    """While another model can be asked; the limits of the last one begin with `last`."""
    idle_timeout_ms: Milliseconds = 15_000
    thinking_timeout_ms: Milliseconds = 120_000
    """In place of both for a model that thinks without a word, or a local one that may be loading."""
    last_first_event_timeout_ms: Milliseconds = 120_000
    last_idle_timeout_ms: Milliseconds = 60_000
    last_thinking_timeout_ms: Milliseconds = 600_000
    silence_timeout_ms: Milliseconds = 300_000
    """How long an answer that is asked whole may take."""
    stall_after_ms: Milliseconds = 5_000
    """A connection that breaks after so much silence is not tried again before the other models."""
    max_retries: Annotated[int, Field(ge=0, le=2)] = 2
    """Of one model with one key; with the first request they are three, and never more are sent."""
    backoff_ms: Milliseconds = 500
    """The longest pause before a first retry; it doubles with each further one, up to the next."""
    max_backoff_ms: Milliseconds = 8_000
    fallback_retry_after_ms: Count = 3_000
    """How much of a provider's `Retry-After` is waited for while another model can be asked."""
    max_retry_after_ms: Milliseconds = 60_000
    """The same for the last one."""
    cooldown_ms: Milliseconds = 2_000
    """How long a model that keeps failing is skipped; doubles up to the next."""
    max_cooldown_ms: Milliseconds = 15_000
    hedge_after_ms: Milliseconds | None = None
    """After so long without a first event the next model is asked as well, and the first to answer wins."""


class DrainConfig(Section):
    """Ours: how a stop signal is handled."""

    notice_ms: Count = 5_000
    """For this long readiness fails while new connections are still accepted, so that proxies can notice."""
    timeout_ms: Count = 60_000
    """For this long running answers may go on after that."""


class RedisConfig(Section):
    """Ours: the store that several instances share; its URL may be in `OPENCLAW_REDIS_URL`."""

    url: Secret | None = None
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "openclaw"
    """Instances with the same prefix share their state; separate gateways need different ones."""
    sentinel_username: str | None = None
    sentinel_password: Secret | None = None
    """Of the Sentinels, where they differ from the credential in `url`."""


class GatewayConfig(Section):
    """`gateway`. Times end in `_ms` here and are seconds everywhere else."""

    UNUSED: ClassVar[frozenset[str]] = accepted.GATEWAY
    mode: Literal["local", "remote"] = "local"
    port: Annotated[int, Field(ge=1, le=65_535)] = 18_789
    bind: Bind = "loopback"
    custom_bind_host: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    allow_real_ip_fallback: bool = False
    auth: AuthConfig = AuthConfig()
    control_ui: ControlUiConfig = ControlUiConfig()
    http: HttpConfig = HttpConfig()
    tls: TlsConfig = TlsConfig()
    reload: ReloadConfig = ReloadConfig()
    stream: StreamConfig = StreamConfig()
    retry: RetryConfig = RetryConfig()
    drain: DrainConfig = DrainConfig()
    redis: RedisConfig = RedisConfig()
    state: StateConfig = StateConfig()
    ledger: LedgerConfig = LedgerConfig()
    limits: tuple[LimitConfig, ...] = ()
    metrics: MetricsConfig = MetricsConfig()
    budgets: tuple[BudgetConfig, ...] = ()
    budget_alerts: BudgetAlertsConfig = BudgetAlertsConfig()
    keys: dict[str, KeyConfig] = Field(default_factory=dict)
    roles: dict[str, Any] | None = None
    """OpenClaw's named roles: refused, because they would not be enforced (`gateway.config.rules`)."""
