"""What is given to the kernel, and what never is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.api import open_object
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.guard.kernel import loaded as loading
from appliance.guard.kernel.errors import NotForKernel
from appliance.guard.kernel.loaded import load_in_kernel
from appliance.guard.kernel.witness import WATCHED, with_witness, witness_maps
from appliance.maps import Flag
from appliance.maps.errors import EntryExists, MapFrozen, MapFull
from appliance.verifier.reports.report import Rejected
from appliance.verifier.verifier import Verifier
from hooks.kernel.programs import KernelRefused
from tests.capabilities import requires
from tests.guarding import compiled

BIG_STACK = "\n".join((*(f"*(u64 *)(r10 - {8 * slot}) = 0" for slot in range(1, 65)), "r0 = 1", "exit"))


def collection(text: str, *maps: MapSpec, hook: str = "cgroup/bind4") -> CollectionSpec:
    """One program of that text."""
    point = LINUX.hook_for_section(hook)
    assert point is not None
    program = ProgramSpec("judge", hook, point, assemble(text), license="GPL")
    return CollectionSpec("<text>", "linux", {"judge": program}, {map_.name: map_ for map_ in maps})


@pytest.mark.parametrize("hook", sorted(WATCHED))
def test_a_witness_is_proved_at_every_hook(hook: str) -> None:
    spec = collection("r0 = 1\nexit", hook=hook).programs["judge"]
    point = spec.hook.in_kernel
    assert point is not None
    proved = Verifier(witness_maps(1), LINUX).verify(replace(with_witness(spec, 0), hook=point))
    assert proved.spec.instructions[-2:] == spec.instructions


@requires("root", "bpf")
@pytest.mark.parametrize("hook", sorted(WATCHED))
def test_the_kernel_takes_it_at_every_hook(hook: str) -> None:
    with load_in_kernel(collection("r0 = 1\nexit", hook=hook), ["judge"]) as loaded:
        assert [spec.hook.name for spec, _ in loaded.programs] == [hook]


def test_what_is_not_proved_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(loading, "kernel_map", given.append)
    monkeypatch.setattr(loading, "KernelProgram", given.append)
    with pytest.raises(Rejected, match="judge"):
        load_in_kernel(collection("r0 = *(u64 *)(r10 - 8)\nexit"), ["judge"])
    assert given == []


def test_a_program_that_leaves_no_stack_to_its_witness_is_not_for_the_kernel() -> None:
    with pytest.raises(NotForKernel, match=r"but not together with what counts its answers: .* 544 bytes"):
        load_in_kernel(collection(BIG_STACK), ["judge"])


@requires("root", "bpf")
def test_what_the_kernel_refuses_is_told_with_the_end_of_its_log() -> None:
    """Licenses are the kernel's affair."""
    spec = collection("call 35\nr0 = 1\nexit")
    closed = replace(spec, programs={"judge": replace(spec.programs["judge"], license="Proprietary")})
    with pytest.raises(KernelRefused, match="cannot call GPL-restricted function") as refused:
        load_in_kernel(closed, ["judge"])
    assert (refused.value.where, refused.value.exit_status) == ("judge", 2)
    assert refused.value.log.count("\n") > 4


@pytest.mark.parametrize(
    ("map_", "reason"),
    [
        (MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 2), "the map 'programs' is of type prog_array"),
        (MapSpec("locked", MapType.ARRAY, 4, 8, 1, lock=0), "the map 'locked' has a lock in its values"),
    ],
)
def test_maps_that_take_more_than_bytes_are_refused(map_: MapSpec, reason: str) -> None:
    with pytest.raises(NotForKernel, match=reason):
        load_in_kernel(collection("r0 = 1\nexit", map_), ["judge"])


@requires("root", "bpf", "clang")
def test_maps_say_what_maps_here_say() -> None:
    opened = open_object(compiled("remembers"))
    with load_in_kernel(opened.spec, ["bind4"]) as loaded:
        ports, calls = loaded.typed("ports"), loaded.typed("calls")
        ports[80] = 7
        ports.update_batch([(port, 1) for port in range(15)])
        assert (ports[80], len(ports), ports.get(81)) == (7, 16, None)
        with pytest.raises(MapFull):
            ports[81] = 1
        del ports[3]
        assert (ports.take(80), 80 in ports, 3 in ports) == (7, False, False)
        with pytest.raises(EntryExists):
            ports.put(0, 1, Flag.NOEXIST)
        calls[1] = [5] * loaded.maps["calls"].processors
        assert set(calls[1]) == {5}
        calls.clear()
        assert set(calls[1]) == {0}
        constants = next(table for name, table in loaded.maps.items() if name.endswith("rodata"))
        assert constants.lookup(bytes(4)) == (9000).to_bytes(4, "little")
        with pytest.raises(MapFrozen):
            constants.update(bytes(4), bytes(4))
