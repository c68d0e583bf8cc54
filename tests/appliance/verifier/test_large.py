"""Large programs are accepted: nothing in them is lost where paths meet."""

from __future__ import annotations

import pytest

from appliance.ebpf.objects.objects import load_object
from appliance.verifier import Verifier
from tests.appliance.ebpf.compiling import compile_alone
from tests.appliance.verifier.datapath import datapath
from tests.appliance.verifier.shapes import SHAPES, shaped
from tests.appliance.verifier.support import program


@pytest.mark.parametrize("calls", [False, True])
@pytest.mark.parametrize("stages", [2, 10, 58])
def test_datapath(stages: int, calls: bool) -> None:
    spec = load_object(compile_alone(datapath(stages, calls=calls)), "datapath.bpf.o")
    verified = Verifier(spec.maps).verify(spec.programs["datapath"])
    assert len(verified.spec.instructions) > 150 * stages


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str) -> None:
    Verifier({}).verify(program(shaped(shape, 3_000)))
