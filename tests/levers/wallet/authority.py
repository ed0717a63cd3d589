"""Who signs pass certificates, for the length of a test: Apple's chain with names of our own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.servers.certificates import draft

PASS_TYPE = "pass.com.example.club"
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """Files in PEM: the root that whoever verifies trusts, and what an operator is given."""

    root: Path
    intermediate: Path
    certificate: Path
    key: Path

    @property
    def environ(self) -> dict[str, str]:
        """As an operator sets them."""
        return {
            "GEOENGINE_PASS_CERTIFICATE": str(self.certificate),
            "GEOENGINE_PASS_KEY": str(self.key),
            "GEOENGINE_PASS_WWDR": str(self.intermediate),
        }


def authority(directory: Path) -> Authority:
    """A root, an intermediate, and the certificate of a pass type."""
    directory.mkdir(parents=True, exist_ok=True)
    made = Authority(
        *(directory / name for name in ("root.pem", "wwdr.pem", "pass.pem", "pass.key"))
    )
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
    subjects = [_name("root"), _name("wwdr"), _name("pass", PASS_TYPE)]
    issuers = [(subjects[0], keys[0]), (subjects[0], keys[0]), (subjects[1], keys[1])]
    files = (made.root, made.intermediate, made.certificate)
    for nth, (path, name, key, (issuer, by)) in enumerate(
        zip(files, subjects, keys, issuers, strict=True)
    ):
        is_authority = x509.BasicConstraints(nth < 2, None)
        one = draft(name, issuer, key).add_extension(is_authority, True)
        path.write_bytes(one.sign(by, hashes.SHA256()).public_bytes(_PEM))
    made.key.write_bytes(
        keys[2].private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def _name(common: str, user_id: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    return x509.Name(parts + ([x509.NameAttribute(NameOID.USER_ID, user_id)] if user_id else []))
