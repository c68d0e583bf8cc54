"""What a prover makes: proofs and code that can be linked from what it answers alone."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.proving.build import build
from appliance.box.proving.built import Image
from appliance.box.proving.prototypes import bytecode_digest
from appliance.box.proving.request import ObjectFile
from appliance.datapath.pass_all import PASS_ALL, pass_all
from appliance.ebpf.objects.objects import load_object
from appliance.errors import InputRefused
from appliance.ir import Engine, NativeCode
from appliance.maps.control.opening import open_map
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.box.proving.requests import of_program, of_rules


def _linked(image: Image, symbols: dict[str, int]) -> Engine:
    return Engine(NativeCode(image.data, b"", image.exports, frozenset(image.symbols), 0.0), symbols)


def test_the_images_are_linked_with_the_memory_of_maps_and_nothing_else() -> None:
    request = of_program("xdp_firewall", workers=2)
    built = build(request)
    maps = load_object(request.object.data, "firewall.o").maps
    with ExitStack() as opened:
        symbols = {f"memory.{name}": opened.enter_context(open_map(spec, 2)).address for name, spec in maps.items()}
        programs, *operations = built.images
        for image in operations:
            engine = opened.enter_context(_linked(image, symbols))
            symbols |= {name: engine.address(name) for name in image.exports}
        assert operations
        engine = opened.enter_context(_linked(programs, symbols))
        assert engine.function("batch", ctypes.c_int64, ctypes.c_void_p)


def test_what_was_proved_is_said_by_digests() -> None:
    built = build(of_program("xdp_firewall"))
    firewall, forwarder = built.programs
    assert (firewall.name, forwarder.name) == ("xdp_firewall", PASS_ALL)
    assert forwarder.bytecode == bytecode_digest(pass_all(XDP_LINUX))
    assert "map_lookup_elem" in firewall.helpers
    assert {"hook.xdp", "helpers", "map.counters", "map.rates"} <= built.prototypes.keys()
    assert built.versions.keys() == {"tidegate", "llvm", "python"}


def test_a_map_that_is_declared_otherwise_has_another_digest() -> None:
    one, two = (build(of_program("xdp_firewall", workers)).prototypes for workers in (1, 2))
    assert one == two  # the workers' number is no part of a declaration
    assert one["map.counters"] != one["map.rates"]


def test_a_rule_set_is_built_with_the_objects_that_it_calls(tmp_path: Path) -> None:
    built = build(of_rules(tmp_path))
    names = {program.name: program for program in built.programs}
    assert "xdp_sample" in names
    assert any("called" in program.tail_call_maps for program in built.programs)
    assert names["xdp_sample"].body in built.images[0].exports


def test_no_program_of_that_name() -> None:
    with pytest.raises(InputRefused, match="no program 'other' in the object"):
        build(replace(of_program("xdp_pass"), inward="other"))


def test_an_object_is_called_as_the_request_calls_it() -> None:
    with pytest.raises(InputRefused, match=r"^hostile.o: this is not an ELF file"):
        build(replace(of_program("xdp_pass"), object=ObjectFile("hostile.o", b"abc")))
