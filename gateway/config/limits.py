"""`gateway.limits` (ours): limits of requests, tokens and runs. Those of failed logins: `gateway.auth.rateLimit`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from gateway.config.endpoints import Names
from gateway.config.section import PositiveCount, Section

Dimension = Literal["identity", "agent", "model"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be 1 to 40 letters, digits, dots, dashes or underscores, because it goes into headers")
    return name


def _references(names: tuple[str, ...]) -> tuple[str, ...]:
    references = []
    for name in names:
        provider, slash, model = name.strip().partition("/")
        if not (provider and slash and model):
            raise ValueError('must be "provider/model" or "provider/*"')
        references.append(f"{provider.lower()}/{model}")
    return tuple(references)


RuleName = Annotated[str, AfterValidator(_plain)]
"""The name of a rule, which goes into headers."""
ModelPatterns = Annotated[tuple[str, ...], AfterValidator(_references)]
"""`provider/model`, or `provider/*`."""


class LimitConfig(Section):
    """One rule. Each combination of the dimensions in `per` has its own amounts; without any, all callers share them.

    The filters restrict the rule, except empty ones. Of rules with the same `name` the first that applies counts.
    """

    name: RuleName | None = None
    per: tuple[Dimension, ...] = ("identity",)
    identities: tuple[str, ...] = ()
    agents: Names = ()
    models: ModelPatterns = ()
    requests_per_minute: PositiveCount | None = None
    tokens_per_minute: PositiveCount | None = None
    concurrent_runs: PositiveCount | None = None

    @property
    def empty(self) -> bool:
        """Whether the rule has no amount and limits nothing."""
        return self.requests_per_minute is self.tokens_per_minute is self.concurrent_runs is None
