"""`request.proxy` and `request.tls` of a provider → the route of its connections."""

from collections.abc import Iterator, Mapping
from urllib.request import proxy_bypass

from pydantic import SecretStr
from yarl import URL

from gateway.config.problems import Problem
from gateway.config.providers import RequestConfig, TlsConfig
from gateway.upstream.transport.route import Proxy, Route, TlsSettings, proxy_at


def route_for(base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Route | None:
    """The route to an address, None for the usual one. Raises ValueError for a proxy's URL that can't be used."""
    proxy = _proxy(base_url, config, env)
    tls = _tls(config.tls) if config.tls is not None else None
    return Route(proxy, tls) if proxy or tls else None


def route_problems(path: str, base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Iterator[Problem]:
    """Why the settings can't be used. `path` is that of `request`."""
    proxy = config.proxy
    if proxy is not None and proxy.tls is not None:
        yield Problem(f"{path}.proxy.tls", "TLS to the proxy itself is not supported; remove the key")
    if proxy is not None and proxy.mode == "explicit-proxy" and not _text(proxy.url):
        yield Problem(f"{path}.proxy.url", 'is missing, while mode is "explicit-proxy"; set it')
    else:
        try:
            _proxy(base_url, config, env)
        except ValueError as error:
            where = "url" if proxy is not None and proxy.mode == "explicit-proxy" else "mode"
            text = "" if where == "url" else "the proxy of the environment "
            yield Problem(f"{path}.proxy.{where}", f"{text}{error}")
    if config.tls is not None:
        try:
            _tls(config.tls).context()
        except ValueError as error:
            yield Problem(f"{path}.tls", str(error))


def secrets_of_route(config: RequestConfig) -> tuple[str | None, ...]:
    """What must not appear in a message."""
    texts = (config.tls.key, config.tls.passphrase) if config.tls is not None else ()
    url = URL(_text(config.proxy.url) or "") if config.proxy is not None else URL()
    return (*map(_text, texts), url.password)


def _proxy(base_url: str, config: RequestConfig, env: Mapping[str, str]) -> Proxy | None:
    if config.proxy is None:
        return None
    if config.proxy.mode == "explicit-proxy":
        return proxy_at(_text(config.proxy.url) or "")
    url = URL(base_url)
    excluded = {"no": _variable("NO_PROXY", env) or ""}
    if proxy_bypass(f"{url.raw_host}:{url.port}", excluded):
        return None
    proxy = _variable(f"{url.scheme.upper()}_PROXY", env) or _variable("ALL_PROXY", env)
    return proxy_at(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


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
