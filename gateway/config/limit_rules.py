"""Rules about limits, budgets and their alerts. `gateway.config.rules` runs them."""

from collections.abc import Iterator, Sequence

from yarl import URL

from gateway.config.problems import Problem, join
from gateway.config.root import Config


def limits_limit_something(config: Config) -> Iterator[Problem]:
    """A rule that never applies protects nothing."""
    for index, limit in enumerate(config.gateway.limits):
        path = join("gateway.limits", index)
        if limit.empty:
            yield Problem(path, "limits nothing; set requestsPerMinute, tokensPerMinute or concurrentRuns")
        yield from _unidentified(config, path, limit.identities)


def budgets_apply_to_somebody(config: Config) -> Iterator[Problem]:
    """As for limits."""
    for index, budget in enumerate(config.gateway.budgets):
        path = join("gateway.budgets", index)
        yield from _unidentified(config, path, budget.identities)
        if (budget.tokens is None) == (budget.usd is None):
            yield Problem(path, "needs either tokens or usd")
    for name, key in config.gateway.keys.items():
        if key.budget is not None and (key.budget.tokens is None) == (key.budget.usd is None):
            yield Problem(f"{join('gateway.keys', name)}.budget", "needs either tokens or usd")


def budget_alerts_are_signed(config: Config) -> Iterator[Problem]:
    """A receiver can't trust an alert that anybody could have sent."""
    alerts = config.gateway.budget_alerts
    if (alerts.url is None) != (alerts.secret is None):
        missing = "secret" if alerts.secret is None else "url"
        yield Problem(f"gateway.budgetAlerts.{missing}", "is missing; alerts need a url and a secret to sign them")
    if alerts.url is not None and not _is_reachable(alerts.url.get_secret_value()):
        yield Problem("gateway.budgetAlerts.url", "is not an http(s) URL; write one such as https://example.com/alerts")


def _is_reachable(text: str) -> bool:
    """Whether this is an http(s) URL whose host the resolver can be asked for."""
    try:
        url = URL(text)
        return url.scheme in ("https", "http") and bool((url.host or "").encode("idna")) and bool(url.port)
    except ValueError:
        return False


def _unidentified(config: Config, path: str, identities: Sequence[str]) -> Iterator[Problem]:
    if identities and config.gateway.auth.mode == "none":
        text = 'names users or keys, while auth mode is "none", which identifies nobody'
        yield Problem(f"{path}.identities", f"{text}; remove the key")
