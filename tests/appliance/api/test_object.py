"""Objects before and after they are loaded: what is there, what may be changed, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import appliance.api as api
from appliance.api import WrongState, open_object
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError
from appliance.errors import InputRefused
from appliance.maps import MapFull, MapRefused
from appliance.maps.control.prog_array import ProgArray
from appliance.verifier.reports.report import Rejected
from hooks.contracts.contract import Verdict
from tests.appliance.api.objects import FRAME, example, key, opened
from tests.appliance.ebpf.compiling import PROGRAMS, compile_c


def test_the_package_alone_imports_nothing() -> None:
    code = "import sys, appliance; assert not {'llvmlite', 'appliance.api'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_and_its_bytes_say_the_same() -> None:
    path = PROGRAMS / "xdp_firewall.bpf.o"
    by_path, by_bytes = open_object(path), open_object(path.read_bytes())
    assert list(by_path.programs) == list(by_bytes.programs) == ["xdp_firewall"]
    assert by_path.spec.maps == by_bytes.spec.maps
    assert by_path.maps["ports"].spec.type is MapType.HASH
    assert (by_path.spec.source, by_bytes.spec.source) == (str(path), "<object>")


def test_the_platform_may_be_named() -> None:
    data = (PROGRAMS / "xdp_pass.bpf.o").read_bytes()
    assert open_object(data).spec.platform == "linux"
    assert open_object(data, platform="windows").spec.platform == "windows"
    with pytest.raises(api.ValueUnfit) as error:
        open_object(data, platform="plan9")
    assert str(error.value) == "there is no platform 'plan9'\n  hint: known: linux, windows"


def test_nothing_runs_that_is_not_proved() -> None:
    with pytest.raises(Rejected, match="reads byte 0 past `data`"):
        open_object(example()).load()


def test_only_what_autoloads_is_loaded() -> None:
    with opened().load() as loaded:
        assert list(loaded.programs) == ["count", "back"]
        with pytest.raises(api.NoSuchName) as error:
            _ = loaded.programs["unsafe"]
    assert str(error.value) == "<object>: there is no loaded program 'unsafe'\n  hint: known: count, back"
    assert isinstance(error.value, KeyError)


def test_maps_are_resized_before_they_are_opened() -> None:
    found = opened()
    assert found.maps["seen"].max_entries == 4
    found.maps["seen"].max_entries = 2
    with found.load() as loaded:
        seen = loaded.maps["seen"]
        for number in range(2):
            seen.update(key(number), bytes(8))
        with pytest.raises(MapFull):
            seen.update(key(2), bytes(8))
    assert found.spec.maps["seen"].max_entries == 4


def test_sizes_that_cannot_be() -> None:
    found = opened()
    with pytest.raises(api.ValueUnfit, match="0 entries\n  hint: a map has room for at least 1"):
        found.maps["seen"].max_entries = 0
    with pytest.raises(api.ValueUnfit, match=r"map \.rodata: its size follows from what it holds"):
        found.maps[".rodata"].max_entries = 2


def test_kinds_and_sizes_are_changed_before_they_are_opened() -> None:
    found = opened()
    seen = found.maps["seen"]
    assert (seen.type, seen.key_size, seen.value_size, seen.flags) == (MapType.HASH, 4, 8, 0)
    seen.type, seen.value_size, seen.flags = "lru_hash", 16, 1 << 1
    found.programs["count"].autoload = False
    with found.load() as loaded:
        spec = loaded.maps["seen"].spec
        assert (spec.type, spec.value_size, spec.flags) == (MapType.LRU_HASH, 16, 2)
        for number in range(9):
            loaded.maps["seen"].update(key(number), bytes(16))
        assert len(loaded.maps["seen"]) == 4
    seen.type = MapType.HASH
    with pytest.raises(MapRefused, match="map_flags 0x2 mean nothing here"):
        found.load()
    seen.flags = 0
    found.programs["count"].autoload = True
    with pytest.raises(Rejected, match="lets the helper read stack bytes -16 to -1"):
        found.load()


def test_kinds_and_sizes_that_cannot_be() -> None:
    found = opened()
    with pytest.raises(
        api.ValueUnfit, match="<object>: map seen: there is no map type 'heap'\n  hint: known: hash, arr"
    ):
        found.maps["seen"].type = "heap"
    for attribute, value in {"type": "hash", "key_size": 8, "value_size": 8, "flags": 1}.items():
        with pytest.raises(api.ValueUnfit, match=r"map \.bss: its size follows from what it holds"):
            setattr(found.maps[".bss"], attribute, value)


def test_programs_are_inspected() -> None:
    program = opened().programs["count"]
    assert (program.spec.section, program.spec.hook.name, program.spec.functions) == ("xdp", "xdp", {0: "count"})
    assert any(line.startswith("; ") and "<stdin>:15" in line for line in program.listing())
    assert any("call map_lookup_elem" in line for line in program.listing())


def test_variables_by_name() -> None:
    found = opened()
    assert dict(found.variables) == {"limit": key(3), "port": b"\x07\0", "frames": bytes(8)}
    found.variables["limit"] = 1
    found.variables["port"] = b"\x01\x02"
    found.variables["frames"] = -1
    with found.load() as loaded:
        assert dict(loaded.variables) == {"limit": key(1), "port": b"\x01\x02", "frames": b"\xff" * 8}
        count = loaded.programs["count"]
        assert [count.test_run(FRAME).verdict.value for _ in range(3)] == ["pass", "drop", "drop"]
        assert loaded.variables["frames"] == (2).to_bytes(8, "little")
        with pytest.raises(api.NoSuchName, match="there is no variable 'speed'"):
            _ = loaded.variables["speed"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", 1 << 16, "65536 doesn't fit into the 2 bytes of 'port'"),
        ("port", -(1 << 15) - 1, "-32769 doesn't fit into the 2 bytes of 'port'"),
        ("port", b"abc", "3 bytes given for 'port', which has 2"),
        ("speed", 1, "<object>: there is no variable 'speed'\n  hint: known: "),
    ],
)
def test_values_that_do_not_fit(name: str, value: bytes | int, message: str) -> None:
    with pytest.raises((api.ValueUnfit, api.NoSuchName)) as error:
        opened().variables[name] = value
    assert str(error.value).startswith(message)


def test_variables_stay_in_the_program() -> None:
    found = opened()
    with pytest.raises(api.ValueUnfit, match="the variable 'limit' can't be taken out"):
        del found.variables["limit"]
    with pytest.raises(api.ValueUnfit, match="only a section of variables has one"):
        found.maps["seen"].initial_value = bytes(8)
    assert len(found.variables) == 3


def test_an_object_may_be_loaded_twice() -> None:
    found = opened()
    with found.load() as first, found.load() as second:
        first.programs["count"].test_run(FRAME)
        assert len(first.maps["seen"]) == 1
        assert len(second.maps["seen"]) == 0


def test_closing_twice_is_harmless_and_nothing_runs_then() -> None:
    loaded = opened().load()
    loaded.close()
    loaded.close()
    with pytest.raises(api.WrongState, match="<object>: the object is closed"):
        loaded.programs["back"].test_run(FRAME)


def test_a_file_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(ObjectError) as error:
        open_object(tmp_path / "none.o")
    assert str(error.value) == f"{tmp_path / 'none.o'}: the file can't be read: No such file or directory"


TAIL_CALLS = """
int leaf(struct xdp_md *ctx);
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __type(key, __u32);
         __array(values, int (struct xdp_md *)); } leaves SEC(".maps") = { .values = { [2] = (void *)&leaf } };
SEC("?xdp") int leaf(struct xdp_md *ctx) { return XDP_DROP; }
SEC("xdp") int choose(struct xdp_md *ctx) { bpf_tail_call(ctx, &leaves, ctx->rx_queue_index); return XDP_PASS; }
"""


def test_arrays_of_programs() -> None:
    found = open_object(compile_c(TAIL_CALLS))
    assert {name: program.autoload for name, program in found.programs.items()} == {"leaf": False, "choose": True}
    with pytest.raises(InputRefused, match="the map 'leaves' holds the program 'leaf', which is not to be loaded"):
        found.load()
    found.programs["leaf"].autoload = True
    with found.load() as loaded, found.load() as other:

        def verdict(place: int) -> object:
            return loaded.programs["choose"].test_run(bytes(64), context={"rx_queue_index": place}).verdict

        assert [verdict(place) for place in (1, 2)] == [Verdict.PASS, Verdict.DROP]
        array = loaded.maps["leaves"]
        assert isinstance(array, ProgArray)
        array[1] = other.programs["leaf"]
        other.close()
        del array[2]
        assert [verdict(place) for place in (1, 2)] == [Verdict.DROP, Verdict.PASS]
        del array[1]
        with pytest.raises(WrongState):
            array[1] = other.programs["leaf"]


def test_a_program_that_cannot_be_put_together_is_in_nobodys_way() -> None:
    source = """
    extern int elsewhere;
    extern int CONFIG_ABSENT __kconfig __weak;
    SEC("xdp") int odd(void *ctx) { return elsewhere; }
    SEC("xdp") int fine(void *ctx) { return CONFIG_ABSENT + XDP_PASS; }
    """
    found = open_object(compile_c(source))
    with pytest.raises(Rejected, match="can't be put together: function odd, slot 0: elsewhere is not defined"):
        found.load()
    found.programs["odd"].autoload = False
    assert found.programs["odd"].listing() == []
    with found.load() as loaded:
        assert loaded.programs["fine"].test_run(FRAME).verdict is Verdict.PASS
        assert loaded.variables.value("CONFIG_ABSENT") == 0
    found.variables["CONFIG_ABSENT"] = 1
    with found.load() as loaded:
        assert loaded.programs["fine"].test_run(FRAME).verdict is Verdict.TX
