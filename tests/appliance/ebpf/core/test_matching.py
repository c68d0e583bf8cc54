"""`bpf_core_type_matches`, by the rules of libbpf's relo_core.c (`__bpf_core_types_match`).

Clang asks this question since version 15, so that the types are written down here instead of compiled. Numbers of
types are places in the list, and type 0 is void, as in BTF.
"""

from __future__ import annotations

import pytest

from appliance.ebpf.btf.btf import VOID, Btf, BtfType, Enumerator, Kind, Member, Parameter
from appliance.ebpf.core.matching import TypeMatcher
from appliance.ebpf.object_errors import CoreError

INT = BtfType(Kind.INT, "int", size=4, signed=True)
UNSIGNED = BtfType(Kind.INT, "int", size=4)  # of the same name: names are compared, too
LONG = BtfType(Kind.INT, "long", size=8, signed=True)


def matches(local: tuple[BtfType, ...], target: tuple[BtfType, ...]) -> bool:
    """Whether the first type of the target matches the first local one; what they lead to follows, from number 2."""
    return TypeMatcher(Btf((VOID, *local)), Btf((VOID, *target))).match(1, 1)


def composite(*members: str, name: str = "s", kind: Kind = Kind.STRUCT, of: int = 2) -> BtfType:
    """A structure whose members all have the type number `of`."""
    return BtfType(kind, name, entries=tuple(Member(member, of, 0) for member in members))


def enum(*names: str, size: int = 4, kind: Kind = Kind.ENUM) -> BtfType:
    return BtfType(kind, "e", size=size, entries=tuple(Enumerator(name, place) for place, name in enumerate(names)))


def pointer(to: int = 2) -> BtfType:
    return BtfType(Kind.PTR, target=to)


def array(count: int, of: int = 2) -> BtfType:
    return BtfType(Kind.ARRAY, target=of, count=count)


def function(*parameters: int, returns: int = 0) -> BtfType:
    return BtfType(Kind.FUNC_PROTO, target=returns, entries=tuple(Parameter("", number) for number in parameters))


def declared(is_union: bool = False, name: str = "s") -> BtfType:
    return BtfType(Kind.FWD, name, is_union=is_union)


@pytest.mark.parametrize(
    ("local", "target", "matching"),
    [
        pytest.param((INT,), (INT,), True, id="a number"),
        pytest.param((INT,), (UNSIGNED,), False, id="a number of another sign"),
        pytest.param((INT,), (BtfType(Kind.INT, "int", size=8, signed=True),), False, id="a number of another size"),
        pytest.param((INT,), (BtfType(Kind.INT, "s32", size=4, signed=True),), False, id="a number of another name"),
        pytest.param((INT,), (BtfType(Kind.FLOAT, "int", size=4),), False, id="a number and a float"),
        pytest.param((BtfType(Kind.FLOAT, "f", size=4),), (BtfType(Kind.FLOAT, "f", size=4),), False, id="floats"),
        pytest.param((BtfType(Kind.TYPEDEF, "a", target=2), INT), (INT,), True, id="through a typedef"),
        pytest.param((INT,), (BtfType(Kind.CONST, target=2), INT), True, id="through a qualifier"),
        # enumerations
        pytest.param((enum("A", "B"),), (enum("C", "B", "A"),), True, id="every value is there"),
        pytest.param((enum("A", "B"),), (enum("A", "C"),), False, id="a value is not there"),
        pytest.param((enum("A___old"),), (enum("A___new"),), True, id="values without their flavours"),
        pytest.param((enum("A", "A___old"),), (enum("A"),), False, id="more values than there are"),
        pytest.param((enum("A"),), (enum("A", size=8),), False, id="an enumeration of another size"),
        pytest.param((enum("A"),), (enum("A", kind=Kind.ENUM64),), True, id="an enumeration of another kind"),
        pytest.param((enum("A"),), (BtfType(Kind.INT, "e", size=4),), False, id="an enumeration and a number"),
        # structures
        pytest.param((composite("a"), INT), (composite("b", "a"), INT), True, id="every member is there"),
        pytest.param((composite("a", "c"), INT), (composite("b", "a"), INT), False, id="a member is not there"),
        pytest.param((composite("a"), INT), (composite("a"), LONG), False, id="a member of another type"),
        pytest.param((composite("a___old"), INT), (composite("a"), INT), True, id="members without their flavours"),
        pytest.param((composite("", ""), INT), (composite(""), INT), False, id="more members than there are"),
        pytest.param((composite("a"), INT), (composite("a", kind=Kind.UNION), INT), False, id="structure and union"),
        pytest.param((composite("a", name="s___x"), INT), (composite("a"), INT), True, id="a structure's flavour"),
        pytest.param((composite("a"), INT), (composite("a", name="t"), INT), False, id="structures of other names"),
        pytest.param((composite("a"), INT), (declared(),), False, id="a structure that is declared only"),
        pytest.param(
            (composite(""), composite("a", name="", of=3), INT),
            (
                BtfType(Kind.STRUCT, "s", entries=(Member("", 2, 0), Member("", 3, 0))),
                composite("b", name="", of=4),
                composite("a", name="", of=4),
                INT,
            ),
            True,
            id="the second of two members of that name",
        ),
        # declarations
        pytest.param((declared(),), (declared(),), True, id="declarations"),
        pytest.param((declared(),), (declared(is_union=True),), False, id="declarations of different kinds"),
        pytest.param((declared(),), (composite(),), False, id="a declaration and a structure"),
        # behind pointers
        pytest.param((pointer(), INT), (pointer(), INT), True, id="pointers to numbers"),
        pytest.param((pointer(), INT), (pointer(), LONG), False, id="pointers to numbers that differ"),
        pytest.param((pointer(0),), (pointer(0),), True, id="pointers to nothing"),
        pytest.param((pointer(0),), (pointer(), BtfType(Kind.FLOAT)), False, id="pointers to nothing and something"),
        pytest.param((pointer(), composite("a")), (pointer(), composite("b")), True, id="members behind a pointer"),
        pytest.param((pointer(), composite()), (pointer(), declared()), True, id="declared there"),
        pytest.param((pointer(), declared()), (pointer(), composite()), True, id="declared here"),
        pytest.param((pointer(), declared()), (pointer(), declared()), True, id="declared in both"),
        pytest.param((pointer(), composite()), (pointer(), declared(True)), False, id="declared a union there"),
        pytest.param((pointer(), declared(True)), (pointer(), composite()), False, id="declared a union here"),
        pytest.param(
            (pointer(), declared(True)), (pointer(), composite(kind=Kind.UNION)), True, id="a union, and declared here"
        ),
        pytest.param((pointer(), composite()), (pointer(), enum()), False, id="a pointer to another name"),
        pytest.param((pointer(), INT), (array(1), INT), False, id="a pointer and an array"),
        # arrays and functions
        pytest.param((array(3), INT), (array(3), INT), True, id="arrays"),
        pytest.param((array(3), INT), (array(4), INT), False, id="arrays of other lengths"),
        pytest.param((array(3), INT), (array(3), LONG), False, id="arrays of other elements"),
        pytest.param((function(2, returns=2), INT), (function(2, returns=2), INT), True, id="functions"),
        pytest.param((function(2), INT), (function(2), LONG), False, id="functions that take something else"),
        pytest.param((function(2), INT), (function(2, 2), INT), False, id="functions that take more"),
        pytest.param((function(returns=2), INT), (function(returns=2), LONG), False, id="functions that return else"),
        pytest.param(
            (pointer(), function(3), composite("a")),
            (pointer(), function(3), composite("b")),
            True,
            id="what a function behind a pointer takes is behind it, too",
        ),
    ],
)
def test_rules(local: tuple[BtfType, ...], target: tuple[BtfType, ...], matching: bool) -> None:
    assert matches(local, target) is matching


def test_a_structure_that_points_to_itself() -> None:
    itself = (composite("next"), pointer(1))
    assert matches(itself, itself)


def test_types_that_are_nested_without_an_end() -> None:
    local = Btf((VOID, pointer(1)))
    target = Btf((VOID, *(pointer(number) for number in range(2, 60)), INT))
    with pytest.raises(CoreError, match="type 1 is nested too deeply to compare"):
        TypeMatcher(local, target).match(1, 1)
