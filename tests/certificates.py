"""Certificates for tests: an authority, and what it signs."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path
    serial: int


class Authority:
    """Signs certificates, for 127.0.0.1 and localhost or another host; `file` is its own certificate."""

    def __init__(self, folder: Path, name: str = "Authority of the tests") -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, host: str = "localhost", passphrase: bytes | None = None) -> Issued:
        """A new certificate in `name`.pem, its key in `name`.key; both files are replaced."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(subject, key.public_key(), x509.BasicConstraints(ca=False, path_length=None), host)
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key", made.serial_number)
        _replace(issued.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        _replace(issued.certificate, made.public_bytes(Encoding.PEM))
        return issued

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        limits: x509.BasicConstraints,
        host: str = "localhost",
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number(), now - _DAY, now + _DAY)
        builder = builder.add_extension(limits, critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if limits.ca:
            usage = x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            )
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self._key, hashes.SHA256())


def _replace(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.rename(file)
