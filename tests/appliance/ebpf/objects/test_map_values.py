"""What arrays of programs and maps of maps hold at first, as files say it."""

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import MapSpec
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.ebpf.objects import patching
from tests.appliance.ebpf.objects.patching import Object

PROGRAMS = """
SEC("xdp") int leaf(void *ctx) { return XDP_DROP; }
SEC("xdp") int other(void *ctx) { return XDP_PASS; }
__attribute__((noinline)) int called(void *ctx) { return XDP_TX; }
"""
PROG_ARRAY = "__uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __type(key, __u32); "
DISPATCH = f"""{PROGRAMS}
struct {{ {PROG_ARRAY} __array(values, int (void *)); }} dispatch SEC(".maps") = {{
    .values = {{ [2] = (void *)&leaf, [0] = (void *)&other, [3] = (void *)&leaf }} }};
"""
NESTED = """
struct inner { MAP(BPF_MAP_TYPE_HASH); } first SEC(".maps"), second SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 4); __type(key, __u32);
         __array(values, struct inner); } outer SEC(".maps") = { .values = { [1] = &second, &first } };
"""


def maps_of(source: str) -> dict[str, MapSpec]:
    return dict(load_object(compile_c(source), "m.o").maps)


def refusal(source: str | bytes) -> str:
    with pytest.raises(ObjectError) as caught:
        load_object(compile_c(source) if isinstance(source, str) else source, "m.o")
    return str(caught.value).removeprefix("m.o: ")


def test_programs_by_their_index() -> None:
    (spec,) = maps_of(DISPATCH).values()
    assert spec == MapSpec("dispatch", MapType.PROG_ARRAY, 4, 4, 4, values=((0, "other"), (2, "leaf"), (3, "leaf")))


def test_maps_by_their_index_and_what_each_is_like() -> None:
    maps = maps_of(NESTED + PROGRAMS)
    inner = MapSpec("outer.inner", MapType.HASH, 4, 8, 4)
    assert maps["outer"] == MapSpec(
        "outer", MapType.ARRAY_OF_MAPS, 4, 4, 4, values=((1, "second"), (2, "first")), inner=inner
    )
    assert maps["first"].inner is None


def test_an_array_of_nothing_at_first() -> None:
    source = f'struct {{ {PROG_ARRAY} __array(values, int (void *)); }} m SEC(".maps");'
    plain = f'struct {{ {PROG_ARRAY} __uint(value_size, 4); }} m SEC(".maps");'
    assert maps_of(source + PROGRAMS) == maps_of(plain + PROGRAMS)
    assert maps_of(source + PROGRAMS)["m"].value_size == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DISPATCH.replace("(void *)&other", "(void *)&called"), "map dispatch: called is no program of this file"),
        (
            "int number = 3;" + DISPATCH.replace("(void *)&other", "(void *)&number"),
            "map dispatch: number is no program of this file",
        ),
        (
            PROGRAMS + NESTED.replace("&first", "(void *)&leaf"),
            'map outer: leaf is no map of SEC(".maps") of this file',
        ),
        (
            DISPATCH.replace("PROG_ARRAY", "HASH"),
            "map dispatch: a map of type hash has no values of that kind\n"
            "  hint: prog_array holds functions, array_of_maps and hash_of_maps hold maps",
        ),
        (
            NESTED.replace("MAP(BPF_MAP_TYPE_HASH)", PROG_ARRAY + "__array(values, int (void *))") + PROGRAMS,
            "map outer: the maps in a map of maps hold no maps or programs themselves",
        ),
        (
            DISPATCH.replace("__array(values, int (void *))", "void *values[4]"),
            "map dispatch: the attribute values is no array of pointers\n  hint: use __array",
        ),
        (
            DISPATCH.replace("__array(values,", "__uint(value_size, 8); __array(values,"),
            "map dispatch: the value has 4 bytes by its type and 8 by value_size",
        ),
    ],
    ids=["function", "variable", "program", "hash", "deep", "array", "size"],
)
def test_values_that_make_no_sense(source: str, message: str) -> None:
    assert refusal(source) == message


def relocated(offset: int, code: str, value: int) -> str:
    """What is said of DISPATCH if its first relocation in .maps is another."""
    return patching.refusal(Object(compile_c(DISPATCH)).inside(".rel.maps", offset, code, value))


def test_relocations_that_make_no_sense() -> None:
    assert relocated(0, "Q", 8) == "section .maps, byte 8: an address stands where no map has values"
    assert relocated(0, "Q", 1 << 40) == f"section .maps, byte {1 << 40}: an address stands where no map has values"
    assert relocated(0, "Q", 24 + 4) == "section .maps, byte 28: two addresses share their bytes"
    assert relocated(0, "Q", 24 + 16) == "section .maps, byte 40: two addresses share their bytes"
    assert relocated(8, "I", 1) == "section .maps, byte 24: a relocation of type 1 stands for no value of a map"
