"""`gateway.keys` (ours): keys of clients beside the owner's token or password. Others are made at run time."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gateway.config.budgets import BudgetWindow, Dollars
from gateway.config.endpoints import Names
from gateway.config.secret import Secret
from gateway.config.section import PositiveCount, Section
from gateway.core.client_key import DEFAULT_SCOPES, digest_of, parse_time


def _time(value: Any) -> float:
    return parse_time(value if isinstance(value, str) else "")  # a number could be NaN, and the key would never expire


Time = Annotated[float, BeforeValidator(_time)]
"""A date, a time and a zone in the file; Unix time in seconds here."""


class KeyLimitsConfig(Section):
    """Limits of one key, besides those of `gateway.limits`."""

    requests_per_minute: PositiveCount | None = None
    tokens_per_minute: PositiveCount | None = None
    concurrent_runs: PositiveCount | None = None


class KeyBudgetConfig(Section):
    """How many `tokens`, or US dollars, the client may use in a window; `gateway.budgets` applies besides."""

    tokens: PositiveCount | None = None
    usd: Dollars | None = None
    window: BudgetWindow = "month"


class KeyConfig(Section):
    """One key: its SHA-256 as `digest`, or the key itself as a secret reference. No `agents` allows all of them."""

    key: Secret | None = None
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    agents: Names | None = None
    limits: KeyLimitsConfig = KeyLimitsConfig()
    budget: KeyBudgetConfig | None = None
    expires: Time | None = None

    @property
    def sha256(self) -> str | None:
        """The digest in hexadecimal digits; None if the file has neither the key nor the digest."""
        if self.digest is not None:
            return self.digest.removeprefix("sha256:")
        return None if self.key is None else digest_of(self.key.get_secret_value()).hex()
