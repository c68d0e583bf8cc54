"""What the loader says about each of our own programs."""

from pathlib import Path

import pytest

from appliance.ebpf.isa.instructions import CallHelper, Exit, LoadMap, LoadMapValue
from appliance.ebpf.map_types import MapType
from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec

PROGRAMS = Path(__file__).parents[2] / "programs"
FRAMES = [
    "xdp_drop",
    "xdp_firewall",
    "xdp_pass",
    "xdp_router",
    "xdp_sample",
    "xdp_swap",
    "xdp_tenants",
    "xdp_trim",
    "xdp_vlan_pop",
]
HOOKS = {"sock_resolver": "cgroup/connect4", **dict.fromkeys(FRAMES, "xdp")}
NAMES = list(HOOKS)
SEVERAL = ["xdp_dispatch"]  # objects of more than one program


def test_every_source_has_its_object_and_the_other_way_round() -> None:
    sources = {path.name.removesuffix(".bpf.c") for path in PROGRAMS.glob("*.bpf.c")}
    objects = {path.name.removesuffix(".bpf.o") for path in PROGRAMS.glob("*.bpf.o")}
    assert sources == objects == {*NAMES, *SEVERAL}


@pytest.mark.parametrize("name", NAMES)
def test_an_object_holds_one_program_of_its_own_name(name: str) -> None:
    spec = load_object_file(PROGRAMS / f"{name}.bpf.o")
    assert spec.platform == "linux"
    assert spec.source == str(PROGRAMS / f"{name}.bpf.o")
    assert list(spec.programs) == [name]
    assert spec.skipped == ()
    program = spec.programs[name]
    hook = LINUX.hook_for_section(HOOKS[name])
    assert (program.section, program.hook, program.license) == (HOOKS[name], hook, "GPL")
    assert program.functions == {0: name}
    assert any(isinstance(instruction, Exit) for instruction in program.instructions)


@pytest.mark.parametrize("name", NAMES)
def test_lines_name_files_by_their_place_in_the_repository_and_quote_them(name: str) -> None:
    lines = load_object_file(PROGRAMS / f"{name}.bpf.o").programs[name].lines
    files = {line.file for line in lines.values()}
    assert f"programs/{name}.bpf.c" in files
    for line in lines.values():
        text = (PROGRAMS.parent / line.file).read_text().splitlines()
        assert line.text == text[line.line - 1]


def test_the_maps_of_the_firewall() -> None:
    maps = load_object_file(PROGRAMS / "xdp_firewall.bpf.o").maps
    steps = maps[".rodata"]
    assert [spec for spec in maps.values() if spec is not steps] == [
        MapSpec("counters", MapType.PERCPU_ARRAY, 4, 16, 11),
        MapSpec("settings", MapType.ARRAY, 4, 40, 1),
        MapSpec("sources_v4", MapType.LPM_TRIE, 8, 16, 65536, flags=1),
        MapSpec("sources_v6", MapType.LPM_TRIE, 20, 16, 65536, flags=1),
        MapSpec("ports", MapType.HASH, 4, 4, 4096),
        MapSpec("rates", MapType.LRU_HASH, 20, 8, 65536),
    ]
    assert (steps.type, steps.key_size, steps.value_size, steps.max_entries) == (MapType.ARRAY, 4, 1024, 1)
    assert steps.read_only
    ((key, table),) = steps.contents
    assert key == bytes(4)
    assert {
        protocol: tuple(table[protocol * 4 :][:4]) for protocol in range(256) if any(table[protocol * 4 :][:4])
    } == {
        **dict.fromkeys((0, 43, 60, 135, 139, 140), (0xFF, 1, 8, 0)),
        44: (0, 1, 8, 0),
        51: (0xFF, 2, 4, 0),
    }


def test_what_the_firewall_refers_to_is_named() -> None:
    instructions = load_object_file(PROGRAMS / "xdp_firewall.bpf.o").programs["xdp_firewall"].instructions
    assert {i.map for i in instructions if isinstance(i, LoadMap)} == {
        "counters",
        "ports",
        "rates",
        "settings",
        "sources_v4",
        "sources_v6",
    }
    assert {i.map for i in instructions if isinstance(i, LoadMapValue)} == {".rodata"}
    # lookup, update and the clock
    assert {i.helper for i in instructions if isinstance(i, CallHelper)} == {1, 2, 5}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_file_gives_the_same_spec(name: str) -> None:
    path = PROGRAMS / f"{name}.bpf.o"
    assert load_object_file(path) == load_object_file(path)
