"""`request.proxy` and `request.tls` of a provider → the route of its connections."""

from collections.abc import Iterator, Mapping
from urllib.request import proxy_bypass

from pydantic import SecretStr
from yarl import URL

from gateway.config.problems import Problem
from gateway.config.providers import ProxyConfig, RequestConfig, TlsConfig
from gateway.upstream.transport.route import Proxy, Route, TlsSettings, proxy_at


def route_for(base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Route | None:
    """The route to an address, None for the usual one. Raises ValueError for a proxy's URL that can't be used."""
    proxy = _proxy(base_url, config, env)
    tls = _tls(config.tls) if config.tls is not None else None
    return Route(proxy, tls) if proxy or tls else None


def route_problems(path: str, base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Iterator[Problem]:
    """Why the settings can't be used. `path` is that of `request`."""
    proxy = config.proxy
    if proxy is not None and proxy.mode == "explicit-proxy" and not _text(proxy.url):
        yield Problem(f"{path}.proxy.url", 'is missing, while mode is "explicit-proxy"; set it')
    else:
        try:
            _proxy(base_url, config, env)
        except ValueError as error:
            where = "url" if proxy is not None and proxy.mode == "explicit-proxy" else "mode"
            text = "" if where == "url" else "the proxy of the environment "
            yield Problem(f"{path}.proxy.{where}", f"{text}{error}")
        else:
            yield from _plain_with_tls(path, proxy)
    for where, tls in (("tls", config.tls), ("proxy.tls", proxy.tls if proxy is not None else None)):
        if tls is not None:
            try:
                _tls(tls).context()
            except ValueError as error:
                yield Problem(f"{path}.{where}", str(error))


def _plain_with_tls(path: str, proxy: ProxyConfig | None) -> Iterator[Problem]:
    """Whoever sets certificates for a proxy wants no plain connection to it. The environment's may be either."""
    if proxy is not None and proxy.tls is not None and (_text(proxy.url) or "").startswith("http://"):
        yield Problem(f"{path}.proxy.tls", "needs a proxy at an https URL; change url, or remove the key")


def secrets_of_route(config: RequestConfig) -> tuple[str | None, ...]:
    """What must not appear in a message."""
    proxy = config.proxy
    every = (config.tls, proxy.tls if proxy is not None else None)
    texts = [secret for tls in every if tls is not None for secret in (tls.key, tls.passphrase)]
    url = URL(_text(proxy.url) or "") if proxy is not None else URL()
    return (*map(_text, texts), url.password)


def _proxy(base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Proxy | None:
    if config.proxy is None:
        return None
    tls = _tls(config.proxy.tls) if config.proxy.tls is not None else None
    if config.proxy.mode == "explicit-proxy":
        return proxy_at(_text(config.proxy.url) or "", tls)
    url = URL(base_url)
    excluded = {"no": _variable("NO_PROXY", env) or ""}
    if proxy_bypass(f"{url.raw_host}:{url.port}", excluded):
        return None
    proxy = _variable(f"{url.scheme.upper()}_PROXY", env) or _variable("ALL_PROXY", env)
    return proxy_at(proxy if "://" in proxy else f"http://{proxy}", tls) if proxy else None


def _variable(name: str, env: Mapping[str, str]) -> str | None:
    """The variable in lower case wins, as in curl."""
    return env.get(name.lower(), "").strip() or env.get(name, "").strip() or None


def _tls(config: TlsConfig) -> TlsSettings:
    return TlsSettings(
        ca=_text(config.ca),
        certificate=_text(config.cert),
        key=_text(config.key),
        passphrase=_text(config.passphrase),
        server_name=config.server_name,
        verify=not config.insecure_skip_verify,
    )


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
