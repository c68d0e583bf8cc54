"""What is signed has one text and one packed form, and nothing else is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.claim import CLAIM, Claim
from appliance.box.approval.statements.forms import (
    DIGEST,
    NAME,
    Form,
    List,
    Malformed,
    Number,
    Optional,
    Record,
    Table,
    Text,
    of_plain,
    packed,
    unpacked,
)
from appliance.box.approval.statements.statement import STATEMENT, Statement


@dataclass(frozen=True)
class Pair:
    name: str
    number: int | None


PAIR = Record(Pair, name=NAME, number=Optional(Number(9)))
EVERY: list[tuple[Form, Any, bytes]] = [
    (DIGEST, "ab" * 32, b"\xab" * 32),
    (Number(300), 300, b"\x2c\x01" + bytes(6)),
    (Text(5), "a b", b"\x03\0a b"),
    (NAME, "a.b", b"\x03\0a.b"),
    (Optional(NAME), None, b"\0"),
    (Optional(NAME), "a", b"\1\1\0a"),
    (List(NAME, 2), ("a", "b"), b"\2\0\1\0a\1\0b"),
    (Table(NAME, 2), {"k": "v"}, b"\1\0\1\0k\1\0v"),
    (PAIR, Pair("a", 7), b"\1\0a\1\7" + bytes(7)),
]


@pytest.mark.parametrize(("form", "value", "data"), EVERY)
def test_both_ways_there_and_back(form: Form, value: Any, data: bytes) -> None:
    assert packed(form, value) == data
    assert unpacked(form, data) == value
    assert of_plain(form, form.plain(value)) == value


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (DIGEST, "AB" * 32),
        (DIGEST, "ab" * 31),
        (DIGEST, b"ab" * 32),
        (Number(9), 10),
        (Number(9), -1),
        (Number(9, least=1), 0),
        (Number(9), True),
        (Number(9), 1.0),
        (Text(3), ""),
        (Text(3), "abcd"),
        (Text(3), "a\n"),
        (Text(3), "é"),
        (NAME, "a b"),
        (NAME, "a" * 256),
        (NAME, "a\0"),
        (Optional(NAME), ""),
        (List(NAME, 1), ("a", "b")),
        (List(NAME, 1), ["a"]),
        (Table(NAME, 1), {"a": "a", "b": "b"}),
        (Table(NAME, 1), {"": "a"}),
        (PAIR, Pair("", 1)),
        (PAIR, "a"),
    ],
)
def test_what_is_no_such_value_is_refused(form: Form, value: Any) -> None:
    with pytest.raises(Malformed):
        packed(form, value)


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (NAME, b"\x05\0ab"),  # cut
        (NAME, b"\1\0ab"),  # too long
        (NAME, b"\1\0\xff"),
        (NAME, b"\xff\xffa"),
        (Optional(NAME), b"\2\1\0a"),
        (List(NAME, 2), b"\3\0" + b"\1\0a" * 3),
        (Table(NAME, 2), b"\2\0\1\0b\1\0v\1\0a\1\0v"),  # not in order
        (Table(NAME, 2), b"\2\0\1\0a\1\0v\1\0a\1\0v"),  # twice
        (Number(300), b"\xff" * 8),
        (DIGEST, bytes(31)),
    ],
)
def test_bytes_that_are_no_such_value_are_refused(form: Form, data: bytes) -> None:
    with pytest.raises(Malformed):
        unpacked(form, data)


@pytest.mark.parametrize(
    ("form", "plain"),
    [
        (List(NAME, 2), {"a": "b"}),
        (List(NAME, 2), "ab"),
        (Table(NAME, 2), ["a"]),
        (PAIR, {"name": "a"}),
        (PAIR, {"name": "a", "number": 1, "more": 2}),
        (PAIR, ["a", 1]),
        (DIGEST, None),
    ],
)
def test_json_of_another_shape_is_refused(form: Form, plain: Any) -> None:
    with pytest.raises(Malformed):
        of_plain(form, plain)


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=300))
def test_noise_is_refused_or_is_a_claim(noise: bytes) -> None:
    try:
        found = unpacked(CLAIM, noise)
    except Malformed:
        return
    assert packed(CLAIM, found) == noise


def test_a_claim_has_one_packed_form(claim: Claim) -> None:
    data = packed(CLAIM, claim)
    assert unpacked(CLAIM, data) == claim
    assert packed(CLAIM, unpacked(CLAIM, data)) == data


def test_a_statement_is_one_text(statement: Statement) -> None:
    text = statement.text()
    assert Statement.of_text(text) == statement
    assert Statement.of_text(text).text() == text
    assert text == canonical.encode(STATEMENT.plain(statement))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_another_byte_is_another_statement_or_none(data: st.DataObject, statement: Statement) -> None:
    text = bytearray(statement.text())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[place]))
    try:
        other = Statement.of_text(bytes(text))
    except Malformed:
        return
    assert other != statement


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":"\\u0061"}',
        b'{"a":"\xc3\xa9"}',
        b"[" * 100_000,
        b" 1",
        b"1\n",
        b"-0",
        b"01",
    ],
)
def test_a_text_that_could_be_written_otherwise_is_refused(text: bytes) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(text)


def test_what_cannot_be_said_is_not_signed(statement: Statement) -> None:
    with pytest.raises(Malformed, match=r"claim\.inward"):
        replace(statement, claim=replace(statement.claim, inward="two words")).text()
