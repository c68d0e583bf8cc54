"""What a lookup in a hash costs: the machine code of its way through the home bucket."""

from __future__ import annotations

import platform
import re

import pytest
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine
from appliance.maps.kind import Shape
from appliance.maps.operations import control_name, export_operations


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
@pytest.mark.parametrize("type_", [MapType.HASH, MapType.LRU_HASH])
def test_a_lookup_saves_no_register(type_: MapType) -> None:
    spec = MapSpec("table", type_, 16, 8, 1000)
    module = ir.Module("lookup")
    export_operations(module, spec, 1, ("lookup",))
    with Engine(module) as engine:
        listing = engine.assembly()
    name = re.escape(control_name(Shape.of(spec, 1), "lookup"))
    found = re.search(rf'^"?{name}"?:\n(.*?)^\.Lfunc_end', listing, re.MULTILINE | re.DOTALL)
    assert found
    assert "mul" in found[1]  # the hash: it is no jump to somewhere else
    assert "push" not in found[1]
