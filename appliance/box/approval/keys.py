"""Ed25519 keys (RFC 8032) in PEM files: a private one that nobody but its owner reads, a public one for everybody.

    KEY.pem    PKCS #8, mode 0600      whoever has it can approve anything
    KEY.pub    SubjectPublicKeyInfo    whoever has it can check what was approved, and nothing else

A key is called by its id, the SHA-256 of the 32 bytes of the public key in hex. Of a private key nothing can be
printed or pickled; it lives in the process that loaded it, which is closed to others (confinement).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from appliance.box.approval.files import make_new, read_guarded, secret, trusted
from appliance.errors import InputRefused

LARGEST_KEY = 4096  # bytes of a PEM file
PUBLIC_SIZE = 32  # bytes
SIGNATURE_SIZE = 64  # bytes


class KeyRefused(InputRefused):
    """The file holds no key of the kind that is wanted."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Any thread. `raw` is the key as RFC 8032 encodes it."""

    raw: bytes

    @property
    def id(self) -> str:
        """In hex."""
        return sha256(self.raw).hexdigest()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the owner of the private key has signed these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def pem(self) -> bytes:
        """As it stands in a file."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """From a PEM file that nobody else may write. Raises FileRefused, KeyRefused."""
        data = bytes(read_guarded(path, trusted(LARGEST_KEY)))
        if b"PRIVATE KEY" in data:
            what, hint = "it holds a private key", "give the public one: KEY.pub, beside it"
            raise KeyRefused(what, where=str(path), hint=hint)
        try:
            key = load_pem_public_key(data)
        except Exception as error:  # whatever the library makes of it: the file is none
            raise KeyRefused(f"it holds no public key ({type(error).__name__})", where=str(path)) from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyRefused("its key is of another kind", where=str(path), hint="`tidegate keygen` makes Ed25519 keys")
        return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


class PrivateKey:
    """One thread. It has no words for itself but those of the public key."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one, of the kernel's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> PrivateKey:
        """From a PEM file that nobody else may read. Raises FileRefused, KeyRefused."""
        data = read_guarded(path, secret(LARGEST_KEY))
        try:
            key = load_pem_private_key(data, password=None)
        except TypeError:
            what, hint = "it is encrypted", "nobody is there to be asked for its password: keep it by its mode alone"
            raise KeyRefused(what, where=str(path), hint=hint) from None
        except Exception as error:  # whose words are not passed on: they might be about bytes of the key
            raise KeyRefused(f"it holds no private key ({type(error).__name__})", where=str(path)) from None
        finally:
            data[:] = bytes(len(data))
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyRefused("its key is of another kind", where=str(path), hint="`tidegate keygen` makes Ed25519 keys")
        return cls(key)

    def save(self, path: Path) -> None:
        """Into a new file, mode 0600. Raises FileRefused, if there is one of that name above all."""
        make_new(path, self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)

    def sign(self, data: bytes) -> bytes:
        """SIGNATURE_SIZE bytes."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"<the private key of {self.public.id[:16]}…>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key stays in the process that loaded it")
