"""The envelope: DSSE as it is specified, and one way to write it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.box.approval.envelope import Approval, pre_authentication_encoding, sign
from appliance.box.approval.keys import PrivateKey, PublicKey
from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.forms import Malformed
from appliance.box.approval.statements.statement import Statement


def test_what_is_signed_is_as_dsse_says() -> None:
    """The example of the specification, protocol.md of secure-systems-lab/dsse."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_signatures_are_those_of_rfc_8032() -> None:
    """Section 7.1, test 2."""
    key = PublicKey(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert key.verifies(signature, b"\x72")
    assert not key.verifies(signature, b"\x73")
    assert not key.verifies(signature[:-1], b"\x72")
    assert not PublicKey(b"short").verifies(signature, b"\x72")


def test_there_and_back(approval: Approval, statement: Statement, key: PrivateKey) -> None:
    again = Approval.of_bytes(approval.to_bytes())
    assert again == approval
    assert again.statement() == statement
    assert again.is_signed_by(key.public)
    assert not again.is_signed_by(PrivateKey.generate().public)


def test_other_tools_can_read_it(approval: Approval, key: PrivateKey) -> None:
    envelope = json.loads(approval.to_bytes())
    assert envelope["payloadType"] == "application/vnd.tidegate.approval.v1+json"
    assert json.loads(base64.b64decode(envelope["payload"]))["claim"]["inward"] == "main"
    assert [each["keyid"] for each in envelope["signatures"]] == [key.public.id]


def test_a_signature_of_another_type_is_none(statement: Statement, key: PrivateKey) -> None:
    approval = sign(statement, [key])
    other = key.sign(pre_authentication_encoding("text/plain", approval.payload))
    assert not key.public.verifies(other, pre_authentication_encoding("application/x", approval.payload))
    assert other != approval.signatures[0].value


def change(approval: Approval, alter: Callable[[dict[str, Any]], Any]) -> bytes:
    envelope = json.loads(approval.to_bytes())
    alter(envelope)
    return canonical.encode(envelope)


@pytest.mark.parametrize(
    "alter",
    [
        lambda envelope: envelope.update(payloadType="application/vnd.in-toto+json"),
        lambda envelope: envelope.update(more=1),
        lambda envelope: envelope.pop("signatures"),
        lambda envelope: envelope.update(payload="="),
        lambda envelope: envelope.update(payload=envelope["payload"] + "\n"),
        lambda envelope: envelope.update(payload=7),
        lambda envelope: envelope.update(signatures=envelope["signatures"] * 9),
        lambda envelope: envelope["signatures"][0].update(sig="AAAA"),
        lambda envelope: envelope["signatures"][0].update(keyid="me"),
        lambda envelope: envelope["signatures"][0].update(more=1),
        lambda envelope: envelope["signatures"].append("x"),
    ],
)
def test_an_envelope_of_another_shape_is_refused(alter: Callable[[dict[str, Any]], Any], approval: Approval) -> None:
    with pytest.raises(Malformed):
        Approval.of_bytes(change(approval, alter))


def test_base64_whose_last_bits_say_something_is_refused(approval: Approval) -> None:
    """`sig` is 64 bytes, 86 digits and two of padding: four bits of the last digit are nobody's."""
    envelope = json.loads(approval.to_bytes())
    signature = envelope["signatures"][0]["sig"]
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = signature[:85] + digits[digits.index(signature[85]) ^ 1] + "=="
    assert base64.b64decode(other) == base64.b64decode(signature)
    envelope["signatures"][0]["sig"] = other
    with pytest.raises(Malformed, match="as it is written"):
        Approval.of_bytes(canonical.encode(envelope))


def test_a_list_is_no_envelope() -> None:
    with pytest.raises(Malformed, match="no envelope"):
        Approval.of_bytes(b"[]")
