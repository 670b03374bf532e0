"""`gateway`: its address, the proxies in front of it, and our own sections for streams, retries and Redis."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from gateway.config import accepted
from gateway.config.auth import AuthConfig
from gateway.config.endpoints import HttpConfig
from gateway.config.limits import LimitConfig
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
    """TLS at the gateway itself: not supported yet, `enabled` is refused."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TLS
    INERT: ClassVar[frozenset[str]] = frozenset({"cert_path", "key_path", "ca_path"})

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
    """Ours: the limits of one run, all inside `total_timeout_ms`."""

    connect_timeout_ms: Milliseconds = 10_000
    first_event_timeout_ms: Milliseconds = 30_000
    idle_timeout_ms: Milliseconds = 30_000
    total_timeout_ms: Milliseconds = 600_000
    silence_timeout_ms: Milliseconds = 300_000
    """How long a whole (non-streaming) answer may take."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    backoff_ms: Milliseconds = 500
    """The longest pause before a first retry; it doubles with each further one."""
    max_retry_after_ms: Milliseconds = 60_000
    rest_ms: Milliseconds = 2000
    """How long a model is left alone after it failed repeatedly; doubles up to the next."""
    max_rest_ms: Milliseconds = 15_000


class DrainConfig(Section):
    """Ours: how a stop signal is handled."""

    notice_ms: Count = 5_000
    """For this long readiness fails while new connections are still accepted, so that proxies can notice."""
    timeout_ms: Count = 60_000
    """For this long running answers may go on after that."""


class RedisConfig(Section):
    """Ours: the store that several instances share; its URL may be in `OPENCLAW_REDIS_URL`."""

    url: SecretStr | None = None
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "openclaw"
    """Instances with the same prefix share their state; separate gateways need different ones."""


class GatewayConfig(Section):
    """`gateway`. Times end in `_ms` here and are seconds everywhere else."""

    UNUSED: ClassVar[frozenset[str]] = accepted.GATEWAY
    INERT: ClassVar[frozenset[str]] = frozenset({"reload"})

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
    limits: tuple[LimitConfig, ...] = ()
    roles: dict[str, Any] | None = None
    """OpenClaw's named roles: refused, because they would not be enforced (`gateway.config.rules`)."""
