"""What section .maps may say of a map, and how libbpf's macros come out."""

from dataclasses import replace

import pytest

from appliance.ebpf.btf.btf import Kind, Member
from appliance.ebpf.elf.elf import read_elf
from appliance.ebpf.isa.instructions import LoadMap
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import LINUX, WINDOWS, Platform
from appliance.ebpf.spec import MapSpec
from appliance.verifier import Verifier
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
    assert declared(f"__uint(type, {number});") == MapSpec("m", LINUX.map_types[number], 0, 0, 0)


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
    assert (spec.flags, spec.read_only, spec.read_only_to_programs) == (0x84, False, True)
    spec = declared("__uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_WRONLY_PROG);")
    assert (spec.read_only_to_programs, spec.write_only_to_programs) == (False, True)
    spec = declared("__uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC);")
    assert (spec.read_only_to_programs, spec.write_only_to_programs) == (False, False)


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


# what names a map's bytes


def test_types_of_keys_and_values() -> None:
    source = """
    struct flow { __u32 address; __u16 port; };
    struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, struct flow); __type(value, __u64); } m SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(key_size, 4); __uint(value_size, 4); } plain SEC(".maps");
    """
    spec = load_object(compile_c(source + PROGRAM), "m.o")
    assert spec.types is not None
    key, value = spec.types.type(spec.maps["m"].key_type), spec.types.resolve(spec.maps["m"].value_type)
    assert (key.name, [member.name for member in key.entries if isinstance(member, Member)]) == (
        "flow",
        ["address", "port"],
    )
    assert (value.kind, value.size, value.signed) == (Kind.INT, 8, False)
    assert (spec.maps["plain"].key_type, spec.maps["plain"].value_type) == (0, 0)


def test_variables_have_types() -> None:
    source = """
    struct pair { int a, b; } pair = {1, 2}; int other = 4;
    static volatile int own = 3; volatile const char text[4] = "abc";
    SEC("xdp") int q(void *ctx) { return pair.a + own + other + text[1]; }
    """
    spec = load_object(compile_c(source), "m.o")
    assert spec.types is not None
    data = {variable.name: variable for variable in spec.maps[".data"].variables}
    assert {name: (variable.offset, variable.size) for name, variable in data.items()} == {
        "pair": (0, 8),
        "other": (8, 4),
        "own": (12, 4),
    }
    assert spec.types.type(data["pair"].type).name == "pair"
    assert spec.types.resolve(data["own"].type).signed
    (text,) = spec.maps[".rodata"].variables
    assert (text.name, spec.types.size_of(text.type)) == ("text", 4)


def test_pinning() -> None:
    hash_map = "__uint(type, BPF_MAP_TYPE_HASH); "
    assert declared(hash_map + "__uint(pinning, LIBBPF_PIN_BY_NAME);").pinned
    assert not declared(hash_map).pinned
    assert refusal(hash_map + "__uint(pinning, 2);") == "map m: there is no pinning 2\n  hint: use LIBBPF_PIN_BY_NAME"


# the old way

LEGACY = """
struct bpf_map_def { __u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SEC("maps") one = { .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 16 };
struct bpf_map_def SEC("maps") two = {
    .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 24, .max_entries = 2, .map_flags = BPF_F_RDONLY_PROG };
SEC("xdp") int p(void *ctx) { __u32 k = 1; return bpf_map_lookup_elem(&two, &k) != bpf_map_lookup_elem(&one, &k); }
"""


@pytest.mark.parametrize("flags", [(), ("-g0",)], ids=["with BTF", "without"])
def test_legacy_definitions(flags: tuple[str, ...]) -> None:
    spec = load_object(compile_c(LEGACY, *flags), "m.o")
    assert spec.maps == {
        "one": MapSpec("one", MapType.HASH, 4, 8, 16),
        "two": MapSpec("two", MapType.ARRAY, 4, 24, 2, flags=0x80),
    }
    loads = [i.map for i in spec.programs["p"].instructions if isinstance(i, LoadMap)]
    assert loads == ["two", "one"]


def legacy_refusal(definition: str) -> str:
    with pytest.raises(ObjectError) as caught:
        maps_of(definition)
    return str(caught.value).removeprefix("m.o: ")


def test_short_and_long_legacy_definitions() -> None:
    short = 'struct { int type, key, value, entries; } m SEC("maps") = {1, 4, 8, 16};'
    assert maps_of(short)["m"] == MapSpec("m", MapType.HASH, 4, 8, 16)
    assert maps_of('struct { int n[9]; } m SEC("maps") = {{1, 4, 8, 16}};')["m"] == maps_of(short)["m"]


LEGACY_NESTED = """
struct bpf_map_def { __u32 type, key_size, value_size, max_entries, FIELDS; };
struct bpf_map_def SEC("maps") outer = { .type = OUTER, .key_size = 4, .value_size = 4, .max_entries = 3, MEANT };
struct bpf_map_def SEC("maps") other = { .type = ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
struct bpf_map_def SEC("maps") model = { .type = HASH, .key_size = 8, .value_size = 16, .max_entries = 5, SELF };
SEC("xdp") int p(void *ctx) {
    __u64 k = 1; void *found = bpf_map_lookup_elem(&outer, &k);
    return found && bpf_map_lookup_elem(found, &k) ? XDP_DROP : XDP_PASS;
}
"""


@pytest.mark.parametrize(
    ("platform", "fields", "meant", "self"),
    [
        (LINUX, "map_flags, inner_map_idx", ".inner_map_idx = 2", ".map_flags = 0"),
        (WINDOWS, "inner_map_idx, pinning, id, inner_id", ".inner_map_idx = 2", ".pinning = 1"),
        (WINDOWS, "inner_map_idx, pinning, id, inner_id", ".inner_id = 10", ".id = 10"),
    ],
)
def test_legacy_maps_of_maps(platform: Platform, fields: str, meant: str, self: str) -> None:
    numbers = {kind: number for number, kind in platform.map_types.items()}
    source = LEGACY_NESTED.replace("FIELDS", fields).replace("MEANT", meant).replace("SELF", self)
    for word, kind in (("OUTER", MapType.HASH_OF_MAPS), ("ARRAY", MapType.ARRAY), ("HASH", MapType.HASH)):
        source = source.replace(word, str(numbers[kind]))
    spec = load_object(compile_c(source), "m.o", platform)
    inner = MapSpec("outer.inner", MapType.HASH, 8, 16, 5)
    assert spec.maps["outer"] == MapSpec("outer", MapType.HASH_OF_MAPS, 4, 4, 3, inner=inner)
    assert spec.maps["model"] == replace(inner, name="model", pinned="pinning" in self)
    Verifier(spec.maps, platform).verify(spec.programs["p"])


def test_a_legacy_id_that_means_no_single_map() -> None:
    outer, plain = 'int outer[8] SEC("maps") = {6, 4, 4, 1, 0, 0, 0, 9};', 'int m[8] SEC("maps") = {1, 4, 4, 1};'
    with pytest.raises(ObjectError, match="map outer: 0 maps of the section have the id 9"):
        load_object(compile_c(outer + plain + PROGRAM), "m.o", WINDOWS)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ('short m SEC("maps") = 1;', "map m: 2 bytes at byte 0 define no map"),
        ('int m[5] SEC("maps") = {99};', "map m: the platform linux has no map type 99 that is known here"),
        (
            'int m[6] SEC("maps") = {13, 4, 4, 1, 0, 1};',
            "map m: the section has no map number 1\n  hint: name one map that is like those in it",
        ),
        (
            'int m[5] SEC("maps") = {13, 4, 4, 1};',
            "map m: m is a map of maps itself\n  hint: name one map that is like those in it",
        ),
        ('int other = 1; int *m SEC("maps") = &other;', "section maps: a definition of a map holds an address"),
    ],
)
def test_legacy_definitions_that_make_no_sense(definition: str, message: str) -> None:
    assert legacy_refusal(definition) == message


@pytest.mark.parametrize(
    ("value", "lock"),
    [
        ("struct { __u64 count; struct bpf_spin_lock lock; }", 8),
        ("struct { struct bpf_spin_lock lock; __u32 count; }", 0),
        ("struct { struct { struct bpf_spin_lock lock; } inner; __u32 count; }", None),
        ("struct { struct bpf_spin_lock *lock; }", None),
        ("struct bpf_spin_lock", None),
        ("__u32", None),
    ],
)
def test_the_lock_of_a_value_is_found_by_its_type(value: str, lock: int | None) -> None:
    spec = declared(f"__uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, {value});")
    assert spec.lock == lock


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "struct { __u64 count; struct bpf_timer timer; }",
            "map m: `timer` in the map's value is for a kernel alone: no timers, lists or kernel pointers here",
        ),
        (
            'struct { int __attribute__((btf_type_tag("kptr"))) *held; }',
            "map m: `held` in the map's value is for a kernel alone: no timers, lists or kernel pointers here",
        ),
        ("struct { struct bpf_spin_lock one; struct bpf_spin_lock two; }", "map m: the value has more than one lock"),
        (
            "struct { char c; struct bpf_spin_lock l; } __attribute__((packed))",
            "map m: the lock in the value is at bit 8",
        ),
    ],
)
def test_locks_that_can_be_none(value: str, message: str) -> None:
    attributes = f"__uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, {value});"
    assert refusal(attributes).startswith(message)


IPROUTE2 = """
struct bpf_elf_map { __u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx; };
struct bpf_elf_map SEC("maps") flows = { .type = 1, .size_key = 4, .size_value = 8, .max_elem = 16, .id = 7 };
struct bpf_elf_map SEC("maps") seen = { .type = 2, .size_key = 4, .size_value = 8, .max_elem = 2, .pinning = 2 };
struct bpf_elf_map SEC("maps") tenants = { .type = 13, .size_key = 4, .size_value = 4, .max_elem = 4, .inner_id = 7 };
SEC("classifier") int p(void *ctx) { return 0; }
"""


def test_definitions_of_iproute2() -> None:
    maps = load_object(compile_c(IPROUTE2), "x.o").maps
    assert maps["flows"] == MapSpec("flows", MapType.HASH, 4, 8, 16)
    assert maps["seen"] == MapSpec("seen", MapType.ARRAY, 4, 8, 2, pinned=True)
    assert maps["tenants"].inner == MapSpec("tenants.inner", MapType.HASH, 4, 8, 16)


def test_what_a_longer_definition_says_is_for_its_loader() -> None:
    source = 'int m[10] SEC("maps") = {2, 4, 8, 1, 0, 3, 5, 7}; SEC("xdp") int p(void *ctx) { return 2; }'
    assert load_object(compile_c(source), "x.o").maps["m"] == MapSpec("m", MapType.ARRAY, 4, 8, 1)
