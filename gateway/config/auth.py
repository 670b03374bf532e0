"""`gateway.auth`: who may call. `gateway.config.environment` fills in the secrets of the environment."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from gateway.config import accepted
from gateway.config.secret import Secret
from gateway.config.section import Milliseconds, PositiveCount, Section

AuthMode = Literal["token", "password", "none", "trusted-proxy"]


class GeneratedToken(SecretStr):
    """A token generated at start because none is configured; no caller knows it."""


class RateLimitConfig(Section):
    """Failure limiter, per credential class and client address (OpenClaw's keys and defaults, recorded)."""

    max_attempts: PositiveCount = 10
    window_ms: Milliseconds = 60_000
    lockout_ms: Milliseconds = 300_000
    exempt_loopback: bool = True
    global_per_minute: Annotated[int, Field(strict=True, gt=0, le=2**53)] | Literal[False] = Field(
        default=100, alias="global"
    )
    """Ours: failures per minute of a credential class, from all addresses together, that are not slowed down."""
    failure_mode: Literal["local", "deny"] = "local"
    """Ours: while Redis is unreachable, each instance counts alone, or new attempts are refused."""


class TrustedProxyConfig(Section):
    """`mode: "trusted-proxy"`: identity headers set by a proxy of `gateway.trustedProxies`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TRUSTED_PROXY

    user_header: str = ""
    required_headers: tuple[str, ...] = ()
    allow_users: tuple[str, ...] = ()
    allow_loopback: bool = False
    admins: tuple[str, ...] = ()
    """Ours: users who may read, export and delete what belongs to others. Nobody else may, whatever its scopes are."""


class AuthConfig(Section):
    """`mode`, once loaded, is the mode in force; `token` and `password` come from the file, else the environment."""

    UNUSED: ClassVar[frozenset[str]] = accepted.AUTH

    mode: AuthMode = "token"
    token: Secret | None = None
    password: Secret | None = None
    rate_limit: RateLimitConfig = RateLimitConfig()
    trusted_proxy: TrustedProxyConfig = TrustedProxyConfig()
    identity_scopes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    identity_scopes_apply_to_http: bool = False
    """Ours: OpenClaw applies `identityScopes` to its WebSocket only (recorded)."""

    @property
    def generated(self) -> bool:
        """Whether the token was generated at start, so that every caller is refused until one is configured."""
        return isinstance(self.token, GeneratedToken)
