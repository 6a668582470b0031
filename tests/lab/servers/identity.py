"""Who is who in the lab's Kubernetes: certificates, tokens and kubeconfigs, made anew for each start."""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# User name -> groups. `oncall` may do nothing until a test binds a role to the user or to its group.
USERS: dict[str, tuple[str, ...]] = {
    "admin": ("system:masters",),
    "oncall": ("oncall",),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
}
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "metrics-server.kube-system.svc",
)
SERVER_ADDRESSES = ("127.0.0.1", "10.96.0.1")
LIFETIME = dt.timedelta(days=30)


class Identity:
    """The secrets of one cluster, as files under `directory`, readable by the owner alone."""

    def __init__(self, directory: Path, api_url: str) -> None:
        self.directory = directory
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _Authority("lab-ca")
        front_authority = _Authority("lab-front-proxy-ca")
        authority.write(directory, "ca")
        front_authority.write(directory, "front-ca")
        authority.issue("kube-apiserver", SERVER_NAMES, SERVER_ADDRESSES).write(directory, "server")
        front_authority.issue("front-proxy", ("front-proxy",), ()).write(directory, "front")
        accounts = ec.generate_private_key(ec.SECP256R1())
        self._write("accounts.key", _pem(accounts))
        self._write("accounts.pub", _public_pem(accounts))
        self._write("tokens.csv", "".join(self._token_lines()).encode())
        for user in USERS:
            self._write(_kubeconfig_name(user), self._kubeconfig(user, api_url))

    def file(self, name: str) -> str:
        """The path of one of the files: `ca.crt`, `server.key`, `tokens.csv`, ..."""
        return str(self.directory / name)

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a user, complete in itself."""
        if user not in USERS:
            raise KeyError(f"The lab has no user {user!r}; it has {', '.join(USERS)}.")
        return self.directory / _kubeconfig_name(user)

    @property
    def authority_base64(self) -> str:
        """The certificate of the authority, as Kubernetes' objects want it."""
        return base64.b64encode((self.directory / "ca.crt").read_bytes()).decode()

    def _token_lines(self) -> Sequence[str]:
        return [f'{self.tokens[user]},{user},{user},"{",".join(groups)}"\n' for user, groups in USERS.items()]

    def _kubeconfig(self, user: str, api_url: str) -> bytes:
        cluster = {"server": api_url, "certificate-authority-data": self.authority_base64}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
        }
        return json.dumps(config, indent=2).encode()

    def _write(self, name: str, content: bytes) -> None:
        _write_secret(self.directory / name, content)


class _Certificate:
    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    def write(self, directory: Path, name: str) -> None:
        _write_secret(directory / f"{name}.key", _pem(self.key))
        _write_secret(directory / f"{name}.crt", self.certificate.public_bytes(serialization.Encoding.PEM))


class _Authority(_Certificate):
    def __init__(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, key, issuer=_name(name))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        super().__init__(builder.sign(key, hashes.SHA256()), key)

    def issue(self, name: str, names: Sequence[str], addresses: Sequence[str]) -> _Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(address)) for address in addresses)]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _builder(name, key, issuer=self.certificate.subject)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return _Certificate(builder.sign(self.key, hashes.SHA256()), key)


def _builder(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # PKCS 8 is what Kubernetes reads for every kind of key
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _kubeconfig_name(user: str) -> str:
    return f"{user.replace(':', '-')}.kubeconfig"
