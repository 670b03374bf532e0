"""Rules between the keys of `gateway` and `mcp`: one named function per rule, all of them always run.

Rules about agents are in `gateway.config.references`, those about providers in `gateway.validation`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

from gateway.config.auth import AuthConfig
from gateway.config.problems import Problem, join
from gateway.config.redis_url import redis_address
from gateway.config.root import Config
from gateway.config.shape import nearest
from gateway.core.client_key import NAME_RULE, is_key, is_key_name
from gateway.core.identity import ALL_SCOPES
from gateway.core.tool_name import tool_prefix

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)

Rule = Callable[[Config], Iterator[Problem]]


def mode_is_explicit(auth: AuthConfig) -> bool:
    """Whether the file sets the mode; otherwise the one secret that is set decides."""
    return "mode" in auth.model_fields_set


def secrets_are_real(config: Config) -> Iterator[Problem]:
    """Broken scripts write `undefined`, `null` or blanks instead of a secret (OpenClaw refuses them too)."""
    for key in ("token", "password"):
        secret = getattr(config.gateway.auth, key)
        if secret is not None and secret.get_secret_value().strip() in ("", "undefined", "null"):
            yield Problem(
                f"gateway.auth.{key}", "is blank or the word undefined or null; set a real secret or remove the key"
            )


def one_secret_or_a_mode(config: Config) -> Iterator[Problem]:
    """With both secrets the mode is ambiguous."""
    auth = config.gateway.auth
    if auth.token is not None and auth.password is not None and not mode_is_explicit(auth):
        text = "is missing, while a token and a password are both set (in the file or the environment)"
        yield Problem("gateway.auth.mode", f'{text}; set it to "token" or "password"')


def password_mode_has_a_password(config: Config) -> Iterator[Problem]:
    """Unlike a token, a password is never generated."""
    if config.gateway.auth.mode == "password" and config.gateway.auth.password is None:
        yield Problem(
            "gateway.auth.password", 'is missing, while mode is "password"; set it or OPENCLAW_GATEWAY_PASSWORD'
        )


def trusted_proxy_is_complete(config: Config) -> Iterator[Problem]:
    """OpenClaw refuses to start without these as well (recorded)."""
    auth = config.gateway.auth
    if auth.mode != "trusted-proxy":
        return
    if not config.gateway.trusted_proxies:
        yield Problem(
            "gateway.trustedProxies", 'is empty, while auth mode is "trusted-proxy"; list the proxy\'s address'
        )
    if not auth.trusted_proxy.user_header.strip():
        text = 'is empty, while auth mode is "trusted-proxy"'
        yield Problem("gateway.auth.trustedProxy.userHeader", f"{text}; name the header with the user's identity")
    if auth.token is not None:
        text = 'is set, while auth mode is "trusted-proxy", and the two exclude each other'
        yield Problem("gateway.auth.token", f"{text}; remove it and OPENCLAW_GATEWAY_TOKEN, or change the mode")


def identity_scopes_are_known(config: Config) -> Iterator[Problem]:
    """A misspelt scope would grant nothing, and the user's 403 would not explain it."""
    auth = config.gateway.auth
    if not auth.identity_scopes_apply_to_http:
        return
    for user, scopes in auth.identity_scopes.items():
        yield from _unknown_scopes(join("gateway.auth.identityScopes", user), scopes)


def _unknown_scopes(path: str, scopes: Sequence[str]) -> Iterator[Problem]:
    for index, scope in enumerate(scopes):
        if scope not in ALL_SCOPES:
            near = nearest(scope, ALL_SCOPES)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(sorted(ALL_SCOPES))}"
            yield Problem(join(path, index), f"{scope!r} is not a scope; {hint}")


def keys_are_checked(config: Config) -> Iterator[Problem]:
    """Without a secret to check, a key would restrict nobody; a proxy's users have their identity already."""
    mode = config.gateway.auth.mode
    if config.gateway.keys and mode not in ("token", "password"):
        text = f'is set, while auth mode is "{mode}", in which no keys are checked'
        yield Problem("gateway.keys", f'{text}; remove it, or set the mode to "token" or "password"')


def keys_are_complete(config: Config) -> Iterator[Problem]:
    """A key has a name, one secret of its own, and scopes that exist."""
    known: dict[str, str] = {}
    for name, key in config.gateway.keys.items():
        path = join("gateway.keys", name)
        if not is_key_name(name):
            yield Problem(path, f"the name of a key must be {NAME_RULE}")
        if (key.key is None) == (key.digest is None):
            yield Problem(path, "needs either key or digest; `openclaw-gateway keys generate` prints both")
        if key.key is not None and not is_key(key.key.get_secret_value()):
            text = "is not a client key, which is ocg_ and 43 characters that a generator has chosen"
            yield Problem(f"{path}.key", f"{text}; `openclaw-gateway keys generate` prints one")
        if (digest := key.sha256) is not None:
            if digest in known:
                yield Problem(path, f"has the same key as {known[digest]!r}; give each client its own")
            known.setdefault(digest, name)
        yield from _unknown_scopes(f"{path}.scopes", key.scopes)


def custom_bind_has_an_address(config: Config) -> Iterator[Problem]:
    """`customBindHost` is an address, not a name."""
    host = config.gateway.custom_bind_host
    if host is None:
        if config.gateway.bind == "custom":
            yield Problem("gateway.customBindHost", 'is missing, while bind is "custom"; set the address to listen on')
    elif not _is_address(host):
        yield Problem("gateway.customBindHost", "is not an IP address; write one such as 192.168.1.10")


def bind_is_served(config: Config) -> Iterator[Problem]:
    """The address of a tailnet interface is not looked up."""
    if config.gateway.bind == "tailnet":
        text = 'is "tailnet", which is not supported; use "custom" and set customBindHost to its address'
        yield Problem("gateway.bind", text)


def reachable_only_with_auth(config: Config) -> Iterator[Problem]:
    """A caller without a credential would have full operator access."""
    if config.gateway.auth.mode == "none" and _is_reachable(config):
        text = f'is "none", while bind is "{config.gateway.bind}", so other machines can connect'
        yield Problem("gateway.auth.mode", f'{text}; set a token, password or trusted proxy, or bind to "loopback"')


def proxies_are_addresses(config: Config) -> Iterator[Problem]:
    """A mistyped network would trust no proxy, without an error."""
    for index, network in enumerate(config.gateway.trusted_proxies):
        try:
            ipaddress.ip_network(network.strip(), strict=False)
        except ValueError:
            text = "is not an IP address or network; write one such as 10.0.0.1 or 10.0.0.0/8"
            yield Problem(join("gateway.trustedProxies", index), text)


def metrics_have_a_port_of_their_own(config: Config) -> Iterator[Problem]:
    """Two listeners can't share a port."""
    metrics = config.gateway.metrics
    if metrics.port is not None and metrics.port == config.gateway.port:
        yield Problem("gateway.metrics.port", "is the gateway's own port; choose another, or remove the key")


def runs_here(config: Config) -> Iterator[Problem]:
    """OpenClaw's `remote` makes its command line a client of another gateway."""
    if config.gateway.mode == "remote":
        yield Problem("gateway.mode", 'is "remote"; this gateway only serves, set "local" or remove the key')


def roles_are_not_ignored(config: Config) -> Iterator[Problem]:
    """Roles restrict users: accepting them without enforcing them would grant access."""
    if config.gateway.roles is not None:
        text = "named roles are not enforced by this gateway; remove them and narrow callers by x-openclaw-scopes"
        yield Problem("gateway.roles", text)


def tls_has_a_certificate(config: Config) -> Iterator[Problem]:
    """OpenClaw makes a certificate that no client trusts."""
    tls = config.gateway.tls
    for key, path in (("certPath", tls.cert_path), ("keyPath", tls.key_path)):
        if tls.enabled and not path:
            text = "is missing, while tls.enabled is true, and no certificate is generated; name a PEM file"
            yield Problem(f"gateway.tls.{key}", text)


def allowed_hosts_are_names(config: Config) -> Iterator[Problem]:
    """An entry that matches no `Host` would lock out whom it should let in."""
    for index, host in enumerate(config.gateway.http.allowed_hosts):
        if not _HOST.fullmatch(host.strip().lower()) and not _is_address(host.strip().strip("[]")):
            text = "is no host name; write one such as gateway.example.com or *.example.com, without scheme and port"
            yield Problem(join("gateway.http.allowedHosts", index), text)


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
    if alerts.url is not None and not alerts.url.get_secret_value().startswith(("https://", "http://")):
        yield Problem("gateway.budgetAlerts.url", "is not an http(s) URL; write one such as https://example.com/alerts")


def _unidentified(config: Config, path: str, identities: Sequence[str]) -> Iterator[Problem]:
    if identities and config.gateway.auth.mode == "none":
        text = 'names users or keys, while auth mode is "none", which identifies nobody'
        yield Problem(f"{path}.identities", f"{text}; remove the key")


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


def _is_reachable(config: Config) -> bool:
    """Whether other machines can connect. `auto` counts as reachable; a custom address unless it is loopback."""
    if config.gateway.bind != "custom":
        return config.gateway.bind != "loopback"
    host = config.gateway.custom_bind_host or ""
    return not (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
