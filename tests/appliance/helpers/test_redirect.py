"""Redirections name the same target in the interpreter and the JIT, and answer what Linux answers."""

from __future__ import annotations

import errno
import itertools

import pytest

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX, WINDOWS
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import NoSuchEntry, OperationRefused, model, open_map
from appliance.maps.errors import TargetRefused
from hooks.contracts.xdp import FrameContext, RedirectKind
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.verifier import kernel

LOOPBACK = 1
ONE = (1).to_bytes(4, "little")
TARGET = LOOPBACK.to_bytes(8, "little")
MAPS = {
    "devmap": MapSpec("m", MapType.DEVMAP, 4, 8, 4, contents=((ONE, TARGET),)),
    "devmap_hash": MapSpec("m", MapType.DEVMAP_HASH, 4, 4, 4, contents=((ONE, TARGET[:4]),)),
    "cpumap": MapSpec("m", MapType.CPUMAP, 4, 4, 2, contents=((ONE, TARGET[:4]),)),
    "xskmap": MapSpec("m", MapType.XSKMAP, 4, 4, 4),
}
KEYS = (0, 1, 9, 1 << 32 | 1)
FLAGS = (0, 1, 2, 3, 4, 8, 8 | 16, 16, 16 | 2, 32, 1 << 63)


def redirecting(key: int, flags: int) -> ProgramSpec:
    """It names another target first, which a redirection that fails must take back."""
    text = f"""
        r1 = 77; r2 = 0; call redirect
        r1 = map[m] ll; r2 = {key} ll; r3 = {flags} ll; call redirect_map
        exit
    """
    return ProgramSpec("test", "xdp", LINUX.hooks[0], assemble(text))


def interpret(spec: ProgramSpec, map: MapSpec) -> tuple[int, FrameContext]:
    frame = FrameContext()
    maps = {"m": model(map)}
    answer = Interpreter(spec, maps, python_helpers()).run(Context(spec.hook, frame, PacketMemory(bytes(64))))
    return answer, frame


def target(frame: FrameContext) -> tuple[int, int]:
    return frame.redirect_kind, frame.redirect_ifindex


@pytest.mark.parametrize("name", MAPS)
def test_engines_and_linux_agree(name: str) -> None:
    map, cases = MAPS[name], list(itertools.product(KEYS, FLAGS))
    programs = {f"p{number}": redirecting(*case) for number, case in enumerate(cases)}
    programs = {name: ProgramSpec(name, "xdp", spec.hook, spec.instructions) for name, spec in programs.items()}
    with (
        Collection.load(CollectionSpec("t.o", "linux", programs, {"m": map}), loops=run_loops) as loaded,
        kernel.kernel_maps({"m": map}) as numbers,
    ):
        for case, spec in zip(cases, programs.values(), strict=True):
            compiled = FrameContext()
            answer, checked = interpret(spec, map)
            assert run_loaded(loaded, spec.name, compiled) == answer, case
            assert kernel.run(spec, numbers) == answer, case
            assert compiled.redirect_kind == checked.redirect_kind, case
            if compiled.redirect_kind <= RedirectKind.PROCESSOR:
                assert compiled.redirect_ifindex == checked.redirect_ifindex, case


def test_what_is_named() -> None:
    assert target(interpret(redirecting(1, 0), MAPS["devmap"])[1]) == (RedirectKind.INTERFACE, LOOPBACK)
    assert target(interpret(redirecting(0, 2), MAPS["devmap"])[1]) == (RedirectKind.INTERFACE, 0)
    assert target(interpret(redirecting(1, 0), MAPS["cpumap"])[1])[0] is RedirectKind.PROCESSOR.value
    assert target(interpret(redirecting(0, 8), MAPS["devmap_hash"])[1])[0] == RedirectKind.EVERY_INTERFACE
    assert target(interpret(redirecting(0, 24), MAPS["devmap"])[1])[0] == RedirectKind.EVERY_OTHER_INTERFACE
    assert target(interpret(redirecting(1, 64), MAPS["devmap"])[1]) == (RedirectKind.INTERFACE, 77), "flags are wrong"


@pytest.mark.parametrize("flags", [1, 2, 3])
def test_windows_has_sockets_alone_and_takes_the_other_way(flags: int) -> None:
    code = f"r1 = map[m] ll; r2 = 0; r3 = {flags}; call redirect_map; exit"
    spec = ProgramSpec("test", "xdp", WINDOWS.hooks[0], assemble(code, WINDOWS))
    collection = CollectionSpec("t.o", "windows", {"test": spec}, {"m": MAPS["xskmap"]})
    with Collection.load(collection, loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == interpret(spec, MAPS["xskmap"])[0] == flags


def test_a_program_looks_whether_there_is_a_socket() -> None:
    """What libxdp's own program does, and every tutorial."""
    text = """
        r1 = *(u32 *)(r1 + 16); *(u32 *)(r10 - 4) = r1
        r2 = r10; r2 += -4; r1 = map[m] ll; call map_lookup_elem
        r1 = r0; r0 = 2
        if r1 == 0 goto out
        r2 = *(u32 *)(r1 + 0)
        r1 = map[m] ll; r3 = 0; call redirect_map
        out: exit
    """
    spec = ProgramSpec("test", "xdp", LINUX.hooks[0], assemble(text))
    map = MAPS["xskmap"]
    with kernel.kernel_maps({"m": map}) as numbers:
        assert kernel.run(spec, numbers) == 2
    with Collection.load(CollectionSpec("t.o", "linux", {"test": spec}, {"m": map}), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == interpret(spec, map)[0] == 2


def test_what_the_control_plane_may_put_in() -> None:
    with open_map(MAPS["devmap"]) as ports:
        assert ports.lookup(ONE) == TARGET
        assert list(ports.items()) == [(ONE, TARGET)]
        assert len(ports) == 1
        with pytest.raises(TargetRefused, match=r"map 'm': a value with a program of its own \(bpf_prog.fd\)"):
            ports.update(ONE, TARGET[:4] + (5).to_bytes(4, "little"))
        with pytest.raises(NoSuchEntry):
            ports.update((4).to_bytes(4, "little"), TARGET)
        ports.update(ONE, TARGET[:4] + b"\xff" * 4)
        assert ports.lookup(ONE) == TARGET, "a descriptor of -1 is none"
        ports.update(ONE, bytes(8))
        assert ports.lookup(ONE) is None, "interface 0 is none"
        assert not ports.delete(ONE)
        assert len(ports) == 0
    with open_map(MAPS["cpumap"]) as processors, pytest.raises(TargetRefused, match="more than 16384 frames"):
        processors.update(ONE, (16385).to_bytes(4, "little"))
    with open_map(MAPS["xskmap"]) as sockets:
        with pytest.raises(TargetRefused, match="there are no AF_XDP sockets here") as refused:
            sockets.update(ONE, TARGET[:4])
        assert refused.value.number == errno.EOPNOTSUPP
        assert (len(sockets), list(sockets), sockets.delete(ONE)) == (0, [], False)
    with open_map(MAPS["devmap_hash"]) as ports, pytest.raises(OperationRefused):
        ports.update(ONE, bytes(4))
