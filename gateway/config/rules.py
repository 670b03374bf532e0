"""Rules between the keys of `gateway` and `mcp`: one named function per rule, all of them always run.

Those about one subject are in siblings of this module. Rules about agents are in `gateway.config.references`, those
about providers in `gateway.validation`.
"""

from collections.abc import Callable, Iterator

from gateway.config.auth_rules import (
    identity_scopes_are_known,
    keys_are_checked,
    keys_are_complete,
    one_secret_or_a_mode,
    password_mode_has_a_password,
    secrets_are_real,
    trusted_proxy_is_complete,
)
from gateway.config.limit_rules import budget_alerts_are_signed, budgets_apply_to_somebody, limits_limit_something
from gateway.config.listener_rules import (
    allowed_hosts_are_names,
    bind_is_served,
    custom_bind_has_an_address,
    metrics_have_a_port_of_their_own,
    proxies_are_addresses,
    reachable_only_with_auth,
    tls_has_a_certificate,
)
from gateway.config.problems import Problem, join
from gateway.config.redis_url import redis_address
from gateway.config.root import Config
from gateway.core.tool_name import tool_prefix

Rule = Callable[[Config], Iterator[Problem]]


def runs_here(config: Config) -> Iterator[Problem]:
    """OpenClaw's `remote` makes its command line a client of another gateway."""
    if config.gateway.mode == "remote":
        yield Problem("gateway.mode", 'is "remote"; this gateway only serves, set "local" or remove the key')


def roles_are_not_ignored(config: Config) -> Iterator[Problem]:
    """Roles restrict users: accepting them without enforcing them would grant access."""
    if config.gateway.roles is not None:
        text = "named roles are not enforced by this gateway; remove them and narrow callers by x-openclaw-scopes"
        yield Problem("gateway.roles", text)


def redis_can_be_addressed(config: Config) -> Iterator[Problem]:
    """With a mistyped URL every instance would count alone."""
    redis = config.gateway.redis
    try:
        address = redis_address(redis)
    except ValueError as error:
        yield Problem("gateway.redis.url", str(error))
        return
    if redis.sentinel_username is not None and redis.sentinel_password is None:
        yield Problem("gateway.redis.sentinelUsername", "needs `sentinelPassword` beside it")
    if redis.sentinel_password is not None and (address is None or address.kind != "sentinel"):
        text = "has no effect, because `url` names no Sentinels (redis+sentinel://host/service); remove it"
        yield Problem("gateway.redis.sentinelPassword", text)


def servers_have_one_transport(config: Config) -> Iterator[Problem]:
    """A tool server is started or called, never both."""
    for name, server in config.mcp.servers.items():
        if server.enabled and bool(server.command) == bool(server.url):
            yield Problem(join("mcp.servers", name), "needs either a command to start or a url to call")


def servers_have_distinct_prefixes(config: Config) -> Iterator[Problem]:
    """The name of a tool begins with its server's name, in the characters that providers allow."""
    known: dict[str, str] = {}
    for name, server in config.mcp.servers.items():
        if not server.enabled:
            continue
        part = tool_prefix(name).lower()
        if not part:
            yield Problem(
                join("mcp.servers", name),
                "has no letter or digit in its name, which its tools need as a prefix; rename it",
            )
        elif part in known:
            yield Problem(
                join("mcp.servers", name), f"has the same tool prefix {part!r} as server {known[part]!r}; rename one"
            )
        known.setdefault(part, name)


RULES: tuple[Rule, ...] = (
    secrets_are_real,
    one_secret_or_a_mode,
    password_mode_has_a_password,
    trusted_proxy_is_complete,
    identity_scopes_are_known,
    custom_bind_has_an_address,
    bind_is_served,
    reachable_only_with_auth,
    proxies_are_addresses,
    metrics_have_a_port_of_their_own,
    runs_here,
    roles_are_not_ignored,
    tls_has_a_certificate,
    allowed_hosts_are_names,
    redis_can_be_addressed,
    limits_limit_something,
    budgets_apply_to_somebody,
    budget_alerts_are_signed,
    keys_are_checked,
    keys_are_complete,
    servers_have_one_transport,
    servers_have_distinct_prefixes,
)
