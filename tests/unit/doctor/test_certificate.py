"""The expiry of a certificate, against the library that made it."""

import pytest
from cryptography import x509

from gateway.doctor.certificate import expiry, first_certificate
from tests.certificates import Authority


def test_the_expiry_is_that_of_the_first_certificate_of_the_file(tmp_path):
    authority = Authority(tmp_path)
    issued = authority.issue("server")
    pem = issued.certificate.read_bytes()
    issued.certificate.write_bytes(b"Bag Attributes\n" + pem + authority.file.read_bytes())
    assert (
        expiry(first_certificate(issued.certificate))
        == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    )


def test_a_file_without_a_certificate_is_named(tmp_path):
    issued = Authority(tmp_path).issue("server")
    with pytest.raises(ValueError, match=r"server\.key holds no certificate"):
        first_certificate(issued.key)
