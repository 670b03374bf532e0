"""TLS at the gateway: its files, and whether they can be served with."""

from collections.abc import Iterator, Mapping

from gateway.config.gateway import TlsConfig
from gateway.config.problems import Problem
from gateway.config.root import Config
from gateway.core.paths import user_path
from gateway.http.server.tls import TlsFiles, server_context


def certificates(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
    """Certificates, keys and authorities that can't be served with."""
    files = tls_files(config.gateway.tls)
    if files is not None:
        try:
            server_context(files)
        except ValueError as error:
            yield Problem("gateway.tls", str(error))


def tls_files(tls: TlsConfig) -> TlsFiles | None:
    """The files of TLS at the gateway, None without it."""
    if not (tls.enabled and tls.cert_path and tls.key_path):
        return None
    authorities = user_path(tls.ca_path) if tls.ca_path else None
    return TlsFiles(user_path(tls.cert_path), user_path(tls.key_path), authorities)
