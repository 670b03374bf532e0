"""`gateway.budgets` (ours): how much may be used in an hour, day, week or month, and who hears of it."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.endpoints import Names
from gateway.config.limits import Dimension, ModelPatterns, RuleName
from gateway.config.secret import Secret
from gateway.config.section import PositiveCount, Section
from gateway.core.price import NANODOLLARS

BudgetWindow = Literal["hour", "day", "week", "month"]

SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
"""The length of each window; a month has 30 days, as windows slide."""


Dollars = Annotated[float, Field(gt=0, le=1_000_000)]
"""US dollars."""


def nanodollars(usd: float) -> int:
    """The unit in which money is counted, at least one."""
    return max(1, round(usd * NANODOLLARS))


class BudgetAlertsConfig(Section):
    """Where alerts at 80 and 100 per cent of a budget are posted, signed with the secret."""

    url: Secret | None = None
    secret: Secret | None = None


class BudgetConfig(Section):
    """One budget. Each combination of the dimensions in `per` has its own; the filters are those of `gateway.limits`.

    It is in `tokens` or in `usd`. A budget that is not `hard` refuses nothing and only warns.
    """

    name: RuleName | None = None
    per: tuple[Dimension, ...] = ("identity",)
    identities: tuple[str, ...] = ()
    agents: Names = ()
    models: ModelPatterns = ()
    tokens: PositiveCount | None = None
    usd: Dollars | None = None
    window: BudgetWindow = "month"
    hard: bool = True
