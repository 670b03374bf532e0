"""TLS for client connections, with certificates that can be replaced while connections are being made."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its key, and the authorities of client certificates.

    With `authorities`, clients need a certificate of one of them. Without them, none is asked for.
    """

    certificate: Path
    key: Path
    authorities: Path | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context with these files. Raises ValueError that names the file that can't be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for file in (files.certificate, files.key):
        _require_readable(file)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        text = f"certificate {files.certificate} and key {files.key} can't be used together ({reason})"
        raise ValueError(f"{text}; they must be PEM files that belong together, the key without a passphrase") from None
    if files.authorities is not None:
        _require_readable(files.authorities)
        try:
            context.load_verify_locations(files.authorities)
        except ssl.SSLError:
            raise ValueError(f"{files.authorities} is no PEM file of certificate authorities") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _require_readable(file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"{file} can't be read ({error.strerror})") from None


class ServerTls:
    """`context` is for the listening socket. Each handshake uses the certificates of the last `commit`; existing
    connections stay as they are. Raises ValueError as `server_context` does.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self.context = self._current = server_context(files)
        self._prepared: ssl.SSLContext | None = None
        # OpenSSL calls it in every handshake, also without a server name.
        self.context.sni_callback = self._choose

    async def prepare(self) -> None:
        """Read the files again. Raises ValueError; then nothing has changed."""
        self._prepared = await asyncio.to_thread(server_context, self._files)

    def commit(self) -> None:
        """Use what was prepared for all handshakes from now on."""
        if self._prepared is not None:
            self._current, self._prepared = self._prepared, None

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current
