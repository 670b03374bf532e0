"""When a certificate expires, read from its DER form (RFC 5280 §4.1), which the standard library does not decode."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.validation.certificates import tls_files

WARNING_DAYS = 21
_DAY = 86_400.0
_PEM = re.compile(r"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_UTC_TIME, _VERSION = 0x17, 0xA0
_VALIDITY = 3  # after the serial number, the algorithm and the issuer


def check_certificate(setup: Setup) -> Iterator[Finding]:
    """The expiry of the gateway's own certificate."""
    files = None if setup.valid is None else tls_files(setup.valid.loaded.config.gateway.tls)
    if files is None:
        return
    left = (expiry(first_certificate(files.certificate)) - setup.machine.now()) / _DAY
    if left > WARNING_DAYS:
        return
    fix = f"renew it and replace {files.certificate} and {files.key}; a running gateway loads them by itself"
    if left <= 0:
        yield Finding("tls.expired", f"{files.certificate} has expired", fix)
    else:
        yield Finding("tls.expiring", f"{files.certificate} expires in {int(left)} days", fix)


def expiry(certificate: bytes) -> float:
    """Unix time in seconds at which a certificate in DER form expires."""
    body = next(_items(certificate))[1]
    fields = [item for item in _items(next(_items(body))[1]) if item[0] != _VERSION]
    _, (kind, raw) = _items(fields[_VALIDITY][1])
    shape = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    when = datetime.strptime(raw.decode("ascii"), shape).replace(tzinfo=UTC)
    return when.timestamp()


def first_certificate(file: Path) -> bytes:
    """The first certificate of a PEM file in DER form. Raises ValueError."""
    body = _PEM.search(file.read_text(encoding="ascii", errors="replace"))
    if body is None:
        raise ValueError(f"{file} holds no certificate in PEM form")
    return base64.b64decode(body[1])


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER item."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size]), at + size
        yield tag, data[at : at + length]
        at += length
