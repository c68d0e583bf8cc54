"""A statement with its signatures: a DSSE envelope (github.com/secure-systems-lab/dsse, version 1.0).

    what is signed    DSSEv1 ␣ length of type ␣ type ␣ length of statement ␣ statement      lengths in decimal
    the envelope      {"payload": base64, "payloadType": type, "signatures": [{"keyid": hex, "sig": base64}, …]}

The type is signed along, so nothing that this key signs for another purpose is ever an approval, and the statement is
verified as bytes before anything reads it. Why not another format: docs/decisions/0070.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from appliance.box.approval.keys import SIGNATURE_SIZE, PrivateKey, PublicKey
from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.claim import sha256
from appliance.box.approval.statements.forms import DIGEST, Malformed
from appliance.box.approval.statements.statement import LARGEST, Statement

PAYLOAD_TYPE = "application/vnd.tidegate.approval.v1+json"
LARGEST_ENVELOPE = 2 * LARGEST  # bytes
MOST_SIGNATURES = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """Of the key with that id."""

    key: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed statement. Whether it holds is for `Trust` to say: anybody can make one. Any thread."""

    payload: bytes = field(repr=False)
    signatures: tuple[Signature, ...]

    @property
    def digest(self) -> str:
        """Of the statement: what a list of revocations calls it."""
        return sha256(self.payload)

    def statement(self) -> Statement:
        """Raises Malformed."""
        return Statement.of_text(self.payload)

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether one of its signatures is of that key, and right."""
        signed = pre_authentication_encoding(PAYLOAD_TYPE, self.payload)
        return any(each.key == key.id and key.verifies(each.value, signed) for each in self.signatures)

    def to_bytes(self) -> bytes:
        """The envelope."""
        return canonical.encode(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [
                    {"keyid": each.key, "sig": base64.b64encode(each.value).decode()} for each in self.signatures
                ],
            }
        )

    @classmethod
    def of_bytes(cls, data: bytes) -> Approval:
        """Raises Malformed. There is one way to write an envelope, and no other is read."""
        if len(data) > LARGEST_ENVELOPE:
            raise Malformed(f"an envelope of more than {LARGEST_ENVELOPE} bytes")
        try:
            match canonical.decode(data):
                case {"payload": str(payload), "payloadType": str(kind), "signatures": list(signatures), **others}:
                    if others or kind != PAYLOAD_TYPE or len(signatures) > MOST_SIGNATURES:
                        raise Malformed("an envelope of something else")
                    return cls(_decoded(payload), tuple(map(_signature, signatures)))
        except canonical.NotCanonical as error:
            raise Malformed(f"the envelope is {error}") from None
        raise Malformed("no envelope")


def sign(statement: Statement, keys: Iterable[PrivateKey]) -> Approval:
    """The statement, signed by each. Raises Malformed if it can't be said."""
    payload = statement.text()
    signed = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    return Approval(payload, tuple(Signature(key.public.id, key.sign(signed)) for key in keys))


def pre_authentication_encoding(kind: str, payload: bytes) -> bytes:
    """What a signature of DSSE is about."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _signature(plain: Any) -> Signature:
    match plain:
        case {"keyid": str(key), "sig": str(value), **others} if not others:
            DIGEST.check(key, "keyid")
            decoded = _decoded(value)
            if len(decoded) == SIGNATURE_SIZE:
                return Signature(key, decoded)
    raise Malformed("no signature")


def _decoded(text: str) -> bytes:
    """Base64 as it is written, its last bits 0: so that no two texts are the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("no base64") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed("no base64 as it is written")
    return data
