"""How connections to a provider are made where its row says so: through a proxy, with TLS settings of its own."""

import base64
import os
import ssl
from dataclasses import dataclass, field

from yarl import URL


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """`ca` are the PEM certificates to trust instead of the system's; `certificate` and `key` are the client's own, in
    PEM. `server_name` replaces the host's name in the handshake. Without `verify`, every certificate is accepted.
    """

    ca: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    server_name: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """The context of these settings; it reads files of the system. Raises ValueError for unusable PEM text."""
        try:
            context = ssl.create_default_context(cadata=self.ca)
        except (ssl.SSLError, ValueError):
            raise ValueError("ca is not a list of certificates in PEM form") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate is not None:
            _load(context, self.certificate, self.key, self.passphrase)
        return context


def _load(context: ssl.SSLContext, certificate: str, key: str | None, passphrase: str | None) -> None:
    """The module `ssl` reads a client's certificate from files only, so it gets one that no disk holds."""
    file = os.memfd_create("client certificate")
    try:
        os.write(file, f"{certificate}\n{key or ''}\n".encode())
        # A function, as OpenSSL asks at the terminal for a passphrase that is missing.
        context.load_cert_chain(f"/proc/self/fd/{file}", password=lambda: passphrase or "")
    except (ssl.SSLError, ValueError):
        raise ValueError("cert and key are not a certificate and its key in PEM form, or passphrase is wrong") from None
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `authorization` is the value of its header, None without a login. `tls` are the settings of the
    connection to the proxy itself, None for one that speaks plain HTTP.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"the proxy {self.host}:{self.port}"


_USUAL_TLS = TlsSettings()


def proxy_at(url: str, tls: TlsSettings | None = None) -> Proxy:
    """The proxy at this URL, with the login that it holds; `tls` are the settings for one at an https URL. Raises
    ValueError.
    """
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or parsed.port is None:
        raise ValueError("is not an http or https URL with a host; write one such as http://proxy:3128")
    authorization = None
    if parsed.user is not None:
        login = base64.b64encode(f"{parsed.user}:{parsed.password or ''}".encode()).decode()
        authorization = f"Basic {login}"
    secured = (tls or _USUAL_TLS) if parsed.scheme == "https" else None
    return Proxy(parsed.raw_host, parsed.port, authorization, secured)


@dataclass(frozen=True, slots=True)
class Route:
    """The settings of connections to one provider: direct ones without a proxy, with the usual TLS if `tls` is None."""

    proxy: Proxy | None = None
    tls: TlsSettings | None = None
