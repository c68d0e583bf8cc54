"""Records as bytes: what was declared comes back, and nothing else is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from appliance.box.proving.records import Malformed, decode, encode


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Leaf:
    data: bytes
    colour: Colour


@dataclass(frozen=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...]
    table: Mapping[str, int]
    place: str | Leaf | None
    share: float
    live: bool


TREE = Tree("ü\n", (Leaf(b"one", Colour.RED), Leaf(b"", Colour.RED)), {"a": -1}, Leaf(b"two", Colour.RED), 0.5, True)


@pytest.mark.parametrize("place", [None, "there", Leaf(b"x", Colour.RED)])
def test_a_record_comes_back(place: Any) -> None:
    tree = Tree(TREE.name, TREE.leaves, TREE.table, place, TREE.share, TREE.live)
    document, body = encode(tree)
    assert document.isascii()
    assert decode(Tree, document, body) == tree


def test_bytes_stand_in_the_body_in_order() -> None:
    assert encode(TREE)[1] == b"onetwo"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"RED"', '"BLUE"', "no Colour is called 'BLUE'"),
        ('"data":3', '"data":2', "1 bytes belong to nothing"),
        ('"data":3', '"data":99', "99 bytes, and 6 are left"),
        ('"data":3', '"data":true', "a bool where a int should be"),
        ('"share":0.5', '"share":1e999', "a number that is none"),
        ('"share":0.5', '"share":Infinity', "a number that is none: Infinity"),
        ('"live":true', '"live":1', "a int where a bool should be"),
        ('"table":{"a":-1}', '"table":[]', "a list where a dict should be"),
        ('"table":{"a":-1}', '"table":{"a":null}', "a NoneType where a int should be"),
        ('"name":', '"nome":', "a Tree with or without name, nome"),
        ('"place":{', '"place":7,"_":{', "a Tree with or without _"),
    ],
)
def test_what_was_not_declared_is_malformed(old: str, new: str, reason: str) -> None:
    document, body = encode(TREE)
    assert old.encode() in document
    with pytest.raises(Malformed, match=reason):
        decode(Tree, document.replace(old.encode(), new.encode(), 1), body)


def test_none_of_several_types() -> None:
    document, body = encode(Tree("", (), {}, None, 0.0, False))
    with pytest.raises(Malformed, match="a list where none may be"):
        decode(Tree, document.replace(b'"place":null', b'"place":[]'), body)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(Malformed):
        decode(Tree, b"\xff", b"")


def test_what_can_not_be_told() -> None:
    with pytest.raises(TypeError, match="a set can't be told"):
        encode(Tree("", (), {}, {1}, 0.0, False))  # type: ignore[arg-type]
