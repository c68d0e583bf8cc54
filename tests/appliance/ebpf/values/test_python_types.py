"""Values as Python types of the user's: what matches becomes them, what doesn't is told with its name in C."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.values import RawBytes, TypedCodec, ValueUnfit, make_dataclass
from tests.appliance.ebpf.values.programs import codec
from tests.appliance.ebpf.values.test_values import EVERYTHING, without


class Action(enum.IntEnum):
    PASS = 2
    DROP = 1


@dataclass(frozen=True)
class Inner:
    a: int
    b: int


@dataclass
class Everything:
    u8: int
    s8: int
    u16: int
    s16: int
    u32: int
    s32: int
    u64: int
    s64: int
    flag: bool
    letter: int
    action: Action
    sign: Any
    wide: int
    port: int
    name: str
    mac: bytes
    deltas: list[int]
    ports: tuple[int, int, int]
    grid: list[tuple[int, ...]]
    inner: Inner
    pair: list[Inner]
    pointer: int
    single: float
    twice: float
    address: int


@dataclass
class Host4:
    family: int
    v4: int | None


@dataclass
class FromTo:
    from_: int
    to: int
    known: int = field(default=9, init=False)


def test_a_dataclass_is_filled() -> None:
    shaped = TypedCodec(codec("everything"), Everything)
    data = shaped.encode(EVERYTHING)
    found = shaped.decode(data)
    assert isinstance(found, Everything)
    assert (found.action, found.name, found.ports) == (Action.DROP, "abc", (1, 2, 65535))
    assert found.pair == [Inner(2, 3), Inner(4, 5)]
    assert found.grid == [(1, 2, 3), (4, 5, 6)]
    assert shaped.encode(found) == data


def test_one_member_stands_for_a_union() -> None:
    shaped = TypedCodec(codec("host"), Host4)
    assert shaped.decode(shaped.encode({"family": 4, "v4": 7})) == Host4(4, 7)
    with pytest.raises(ValueUnfit, match="has no value"):
        shaped.encode(Host4(4, None))


def test_words_of_python() -> None:
    assert TypedCodec(codec("from_to"), FromTo).decode(codec("from_to").encode({"from": 1, "to": 2})) == FromTo(1, 2)
    assert make_dataclass(codec("from_to"))(from_=1, to=2).from_ == 1


@dataclass
class Few:
    to: int


@dataclass
class Many:
    from_: int
    to: int
    via: int


@dataclass
class Wrong:
    from_: str
    to: int


@dataclass
class Unknown:
    from_: Nowhere  # type: ignore[name-defined]  # noqa: F821
    to: int


@dataclass
class Family:
    family: int


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("from_to", Few, "Few has no field 'from' of struct from_to\n  hint: give it one"),
        ("from_to", Many, "struct from_to has no field 'via' for Many\n  hint: it has from, to"),
        ("from_to", Wrong, "from: __u32 can't be str\n  hint: it can be int, an Enum"),
        ("from_to", int, "struct from_to can't be int\n  hint: it can be a dataclass or dict"),
        ("host", Family, "Family has no field 'v4' of struct host\n  hint: give it one"),
        ("number", Few, "__u32 can't be Few\n  hint: it can be int, an Enum"),
        ("flag", float, "_Bool can't be float\n  hint: it can be bool, int, an Enum"),
        ("ratio", int, "float can't be int\n  hint: it can be float"),
        ("name", int, "char[6] can't be int\n  hint: it can be bytes or str"),
        ("grid", list[str], "__u32[3] can't be str\n  hint: it can be a list or tuple"),
        ("grid", tuple[list[int]], "__u32[2][3] can't be a tuple of 1"),
    ],
    ids=str,
)
def test_shapes_that_do_not_match(name: str, shape: Any, message: str) -> None:
    with pytest.raises(ValueUnfit) as error:
        TypedCodec(codec(name), shape)
    assert str(error.value) == message


def test_types_of_fields_that_nobody_knows() -> None:
    with pytest.raises(ValueUnfit, match="the fields of Unknown can't be understood: name 'Nowhere' is not defined"):
        TypedCodec(codec("from_to"), Unknown)


def test_numbers_that_an_enum_lacks_stay_refused_by_it() -> None:
    with pytest.raises(ValueError, match="7 is not a valid Action"):
        TypedCodec(codec("action"), Action).decode((7).to_bytes(4, "little"))


@given(st.data())
def test_made_dataclasses_come_back(data: st.DataObject) -> None:
    for name in ("everything", "bits", "host", "either", "tail", "from_to"):
        of = codec(name)
        made = make_dataclass(of)
        shaped = TypedCodec(of, made)
        raw = data.draw(st.binary(min_size=of.size, max_size=of.size), label=name)
        found = shaped.decode(raw)
        assert isinstance(found, made)
        assert shaped.encode(found) == of.encode(of.decode(raw))
        assert {found: 1}[found] == 1, "it can be a key"


def test_made_dataclasses_have_the_names_of_c() -> None:
    made = make_dataclass(codec("everything"))
    assert made.__name__ == "everything"
    inner = made.__annotations__["inner"]
    assert (inner.__name__, made.__annotations__["pair"]) == ("inner", tuple[inner, ...])
    host = make_dataclass(codec("host"), "Host")
    assert host(family=4, v4=1).v6 is None
    assert codec("host").encode(host(family=4, v4=1))[4:8] == b"\1\0\0\0"
    with pytest.raises(ValueUnfit, match="__u32 has no fields"):
        make_dataclass(codec("number"))


def test_raw_bytes_stay_bytes() -> None:
    assert TypedCodec(RawBytes(2), bytes).decode(b"ab") == b"ab"
    with pytest.raises(ValueUnfit, match="2 bytes can't be Inner\n  hint: it can be bytes"):
        TypedCodec(RawBytes(2), Inner)
    assert codec("everything").encode({**without("name"), "name": "abc"}) == codec("everything").encode(EVERYTHING)
