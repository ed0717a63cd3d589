"""A pass as Apple's Wallet takes it: files, their digests, and a signature over these.

``manifest.json`` names the SHA-1 of each file; ``signature`` is a detached PKCS #7 signature over
the manifest by the certificate of the pass's type, with Apple's intermediate (WWDR G4) beside it.
SHA-1 is what Apple's format says; what vouches for the files is the signature's SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import ssl
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from geoengine.levers.secrets import CredentialError

MEDIA_TYPE: Final = "application/vnd.apple.pkpass"
_STILL: Final = (1980, 1, 1, 0, 0, 0)  # the files' date: the same pass is the same bytes but one
_OPTIONS: Final = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary)


class Signer:
    """The certificate of a pass's type, its key, and Apple's intermediate.

    Raises `CredentialError` where one of them is none, or they do not belong together.
    """

    def __init__(self, certificate: str, key: str, intermediate: str, variables: Names) -> None:
        self._certificate = _certificate(certificate, variables.certificate)
        self._intermediate = _certificate(intermediate, variables.intermediate)
        self._key = _key(key, variables.key)
        if self._key.public_key() != self._certificate.public_key():
            raise CredentialError(f"{variables.key} is not the key of {variables.certificate}")
        self._pem = (certificate, intermediate, key)

    @property
    def pass_type(self) -> str:
        """The pass type that the certificate is for: its subject's user id; "" for none."""
        found = self._certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
        return str(found[0].value) if found else ""

    @property
    def until_s(self) -> float:
        """When the certificate ends, seconds since the epoch."""
        return self._certificate.not_valid_after_utc.timestamp()

    def sign(self, manifest: bytes) -> bytes:
        """A detached signature in DER, with the time of signing in it."""
        return (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(self._certificate, self._key, hashes.SHA256())
            .add_certificate(self._intermediate)
            .sign(serialization.Encoding.DER, [*_OPTIONS])
        )

    def tls(self, trust: Path | None = None) -> ssl.SSLContext:
        """A TLS client that shows the certificate, as Apple's push service wants for passes."""
        context = ssl.create_default_context(cafile=None if trust is None else str(trust))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads files only
            file.write("\n".join(self._pem))
            file.flush()
            context.load_cert_chain(file.name)
        return context


class Names(msgspec.Struct, frozen=True):
    """The variables that credentials came from, for what is said about them."""

    certificate: str
    key: str
    intermediate: str


def bundle(face: Mapping[str, Any], images: Mapping[str, bytes], signer: Signer) -> bytes:
    """The ``.pkpass`` of a pass and its images."""
    files = {"pass.json": msgspec.json.encode(face)} | dict(sorted(images.items()))
    digests = {
        name: hashlib.sha1(data, usedforsecurity=False).hexdigest() for name, data in files.items()
    }
    manifest = msgspec.json.encode(digests)
    files |= {"manifest.json": manifest, "signature": signer.sign(manifest)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _STILL), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _certificate(text: str, variable: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        raise CredentialError(f"{variable} is no certificate: expected PEM") from None


def _key(text: str, variable: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        raise CredentialError(
            f"{variable} is no key: expected PEM of a private key without a passphrase"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CredentialError(f"{variable} is a key of a kind that passes are not signed with")
    return key
