"""What section .maps may say of a map, and how libbpf's macros come out."""

import pytest

from appliance.ebpf.elf import read_elf
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects import load_object
from appliance.ebpf.platform import LINUX, WINDOWS
from appliance.ebpf.spec import MapSpec, MapType
from tests.appliance.ebpf.compiling import compile_c

PROGRAM = 'SEC("xdp") int p(struct xdp_md *ctx) { return XDP_PASS; }'


def maps_of(declaration: str) -> dict[str, MapSpec]:
    return dict(load_object(compile_c(declaration + PROGRAM), "m.o").maps)


def declared(attributes: str) -> MapSpec:
    (spec,) = maps_of(f'struct {{ {attributes} }} m SEC(".maps");').values()
    return spec


def refusal(attributes: str) -> str:
    with pytest.raises(ObjectError) as caught:
        declared(attributes)
    return str(caught.value).removeprefix("m.o: ")


@pytest.mark.parametrize("number", sorted(LINUX.map_types))
def test_every_map_type_of_the_platform(number: int) -> None:
    kind = LINUX.map_types[number]
    if kind in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
        assert refusal(f"__uint(type, {number});") == f"map m: the map is of type {kind.value}"
    else:
        assert declared(f"__uint(type, {number});") == MapSpec("m", kind, 0, 0, 0)


def test_platforms_number_map_types_differently() -> None:
    source = 'struct { __uint(type, 9); } m SEC(".maps");' + PROGRAM
    assert load_object(compile_c(source), "m.o", LINUX).maps["m"].type is MapType.LRU_HASH
    assert load_object(compile_c(source), "m.o", WINDOWS).maps["m"].type is MapType.LPM_TRIE


@pytest.mark.parametrize(
    ("attributes", "key", "value"),
    [
        ("__type(key, __u32); __type(value, struct { char bytes[12]; __u64 number; });", 4, 24),
        ("__type(key, const char[6]); __type(value, void *);", 6, 8),
        ("__uint(key_size, 8); __uint(value_size, 0);", 8, 0),
        ("__type(key, __u32); __uint(key_size, 4); __uint(value_size, 3);", 4, 3),
    ],
)
def test_sizes_by_type_and_by_number(attributes: str, key: int, value: int) -> None:
    spec = declared(f"__uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 7); {attributes}")
    assert spec == MapSpec("m", MapType.HASH, key, value, 7)


def test_flags() -> None:
    spec = declared("__uint(type, BPF_MAP_TYPE_ARRAY); __uint(map_flags, BPF_F_RDONLY_PROG | BPF_F_NUMA_NODE);")
    assert (spec.flags, spec.read_only) == (0x84, True)
    assert not declared("__uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC);").read_only


def test_attributes_that_change_nothing() -> None:
    plain = declared("__uint(type, BPF_MAP_TYPE_HASH);")
    assert declared("__uint(type, BPF_MAP_TYPE_HASH); __uint(numa_node, 1); __uint(pinning, 0);") == plain


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            "__type(key, __u32);",
            "map m: the declaration has no type\n  hint: add __uint(type, BPF_MAP_TYPE_…)",
        ),
        (
            "__uint(type, 1); __type(key, __u32); __uint(key_size, 8);",
            "map m: the key has 4 bytes by its type and 8 by key_size",
        ),
        ("__uint(type, 1); __uint(colour, 3);", "map m: there is no map attribute 'colour'"),
        ("int type;", "map m: the attribute type is no pointer\n  hint: use __uint, __type"),
        ("__uint(type, 1); __type(key, void);", "section .BTF: a VOID has no size"),
    ],
)
def test_declarations_that_say_nothing_sound(attributes: str, message: str) -> None:
    assert refusal(attributes) == message


def test_a_map_that_is_no_structure() -> None:
    with pytest.raises(ObjectError, match="map m: the declaration is no structure"):
        maps_of('int m SEC(".maps") = 3;')


def test_maps_stand_in_the_order_of_the_section() -> None:
    names = ("zebra", "ant", "mole")
    source = "".join(f'struct {{ __uint(type, 1); }} {name} SEC(".maps");' for name in names) + PROGRAM
    elf = read_elf(compile_c(source))
    places = {symbol.name: symbol.value for symbol in elf.symbols if symbol.name in names}
    assert list(maps_of(source.removesuffix(PROGRAM))) == sorted(names, key=places.__getitem__)
