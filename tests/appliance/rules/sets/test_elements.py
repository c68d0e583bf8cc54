"""Elements become keys: ranges the fewest prefixes, combinations one key for each exact value."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.rules.sets.elements import ElementType
from appliance.rules.values import BadValue, SetType

PREFIX, PORT, MAC, NUMBER = SetType.PREFIX, SetType.PORT, SetType.MAC, SetType.NUMBER


def covered(key: bytes) -> range:
    """The numbers that begin as a key says, its data being one number."""
    (length,), data = struct.unpack_from("<I", key), key[4:]
    low = int.from_bytes(data, "big")
    return range(low, low + (1 << (8 * len(data) - length)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**16))
def test_a_range_of_addresses_is_the_prefixes_that_cover_it(first: int, more: int) -> None:
    last = min(first + more, 2**32 - 1)
    text = "-".join(".".join(map(str, number.to_bytes(4, "big"))) for number in (first, last))
    blocks = [covered(key) for _, key in ElementType((PREFIX,)).keys(text)]
    assert [blocks[0][0], blocks[-1][-1]] == [first, last]
    assert all(before[-1] + 1 == after[0] for before, after in itertools.pairwise(blocks)), "no gap"
    assert all(len(block) & (len(block) - 1) == 0 and block[0] % len(block) == 0 for block in blocks)
    joined = itertools.pairwise(blocks)
    assert not any(len(a) == len(b) and a[0] % (2 * len(a)) == 0 for a, b in joined), "none could be one with the next"


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_a_range_of_ports_covers_these_ports(low: int, high: int) -> None:
    low, high = min(low, high), max(low, high)
    blocks = [covered(key) for _, key in ElementType((PORT,)).keys(f"{low}-{high}")]
    assert [number for block in blocks for number in block] == list(range(low, high + 1))


def test_what_may_be_a_range_stands_last_in_a_combination() -> None:
    both = ElementType((PREFIX, PORT))
    assert [(part.family, key) for part, key in both.keys(["192.0.2.0/24", "80-81"])] == [
        (4, b"\x28\0\0\0\0\x50\xc0\0\x02\0"),
        (4, b"\x28\0\0\0\0\x51\xc0\0\x02\0"),
    ]
    assert list(both.keys("192.0.2.0/24 . 80-81")) == list(both.keys(["192.0.2.0/24", "80-81"]))
    ((part, key),) = ElementType((MAC, PREFIX, NUMBER)).keys(["02:00:00:00:00:01", "2001:db8::/32", 7])
    assert (part.family, part.widths) == (6, (6, 4, 16))
    assert key == struct.pack("<I", 112) + bytes.fromhex("020000000001" + "00000007" + "20010db8") + bytes(12)
    assert len(list(ElementType((PORT, PORT)).keys("53,0-65535"))) == 1


@pytest.mark.parametrize(
    ("types", "element", "what"),
    [
        ((PREFIX, PORT), "192.0.2.1", "'192.0.2.1' isn't prefix . port"),
        ((PREFIX, PORT), ["192.0.2.1", 80, 81], "192.0.2.1 . 80 . 81 isn't prefix . port"),
        ((PREFIX, PORT), 80, "80 isn't prefix . port"),
        ((PREFIX, PORT), "192.0.2.1,tcp:80", "'tcp:80' isn't a port"),
        ((PREFIX, PORT), "192.0.2.1,0-65535", "'192.0.2.1,0-65535' stands for 65536 combinations"),
        ((PREFIX, PREFIX), "192.0.2.1 . 2001:db8::1", "'192.0.2.1 . 2001:db8::1' has addresses of both families"),
        ((PREFIX, PREFIX), "192.0.2.1 . 10.0.0.0/8", "'192.0.2.1 . 10.0.0.0/8' stands for 16777216 combinations"),
        ((PORT,), "htpp", "'htpp' isn't a port"),
        ((MAC,), 7, "7 isn't a MAC address"),
    ],
)
def test_an_element_that_is_none(types: tuple[SetType, ...], element: object, what: str) -> None:
    with pytest.raises(BadValue) as refused:
        list(ElementType(types).keys(element))
    assert refused.value.what == what
    assert refused.value.hint


def test_names_of_maps_are_identifiers_and_apart() -> None:
    names = ["a-b", "a_b", "a.b", "a_Db", "a__b", "A"]
    single, both = ElementType((PREFIX,)), ElementType((PREFIX, PORT))
    made = [type_.map_name(part, name) for type_ in (single, both) for part in type_.parts for name in names]
    assert len(set(made)) == len(made)
    assert all(name.isidentifier() and name.isascii() for name in made)
    assert made[0] == "in4_a_Db"
