"""Rules about where the gateway listens, and for which hosts and proxies. `gateway.config.rules` runs them."""

import ipaddress
import re
from collections.abc import Iterator

from gateway.config.problems import Problem, join
from gateway.config.root import Config

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)


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
