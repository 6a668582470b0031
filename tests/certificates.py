"""Certificates for tests: an authority of our own, and what it signs, good or bad in one chosen way."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM, PKCS8, OPEN = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()

TLS_TROUBLE = [  # what is said of a certificate, for which hosts it is, for how many days, whether it signs itself
    ("the certificate has expired", ["127.0.0.1"], -2, False),
    ("the certificate is for another address", ["10.1.2.3"], 30, False),
    ("the certificate is self-signed", ["127.0.0.1"], 30, True),
]


class Authority:
    """Signs certificates; its own is at `file`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Test authority")
        self.file = directory / "authority.pem"
        self.file.write_bytes(self._sign(self._name, self._key, [], 30, ca=True).public_bytes(PEM))

    def issue(self, name: str, *hosts: str, days: int = 30, self_signed: bool = False) -> tuple[Path, Path]:
        """Certificate and key for these hosts and addresses; a negative `days` makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(_name(name), key, hosts, days, self_signed=self_signed)
        certificate_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        certificate_file.write_bytes(signed.public_bytes(PEM))
        key_file.write_bytes(key.private_bytes(PEM, PKCS8, OPEN))
        return certificate_file, key_file

    def server_context(self, name: str, *hosts: str, days: int = 30, self_signed: bool = False) -> ssl.SSLContext:
        """TLS for a server with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, *hosts, days=days, self_signed=self_signed))
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        hosts: list[str] | tuple[str, ...],
        days: int,
        *,
        ca: bool = False,
        self_signed: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return builder.sign(key if self_signed else self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
