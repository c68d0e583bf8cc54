"""Frames redirected through maps: real ones, between namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from appliance.datapath.datapath import Datapath
from appliance.datapath.loop import PacketLoops
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.jit.collection import Collection
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX
from hooks.interfaces.netdev import find_interface
from tests.appliance.datapath.conftest import Box
from tests.netns import Topology, run_inside

MACS = bytes.fromhex("020000000002020000000001")
DROP, PASS, TX = 1, 2, 3
BROADCAST, EXCLUDE_INGRESS = 8, 16
NOWHERE = 60000

# The first byte behind the Ethernet header chooses the map, the second the key, the third the flags.
CODE = """
    r6 = r1
    r0 = 1
    r2 = *(u32 *)(r6 + 0)
    r3 = *(u32 *)(r6 + 4)
    r4 = r2; r4 += 17
    if r4 > r3 goto out
    r7 = *(u8 *)(r2 + 14)
    r8 = *(u8 *)(r2 + 15)
    r9 = *(u8 *)(r2 + 16)
    r2 = r8; r3 = r9
    if r7 == 0 goto array
    if r7 == 1 goto hash
    if r7 == 2 goto processors
    if r7 == 3 goto sockets
    r0 = 4
    goto out
    array: r1 = map[array] ll; call redirect_map; goto out
    hash: r1 = map[hash] ll; call redirect_map; goto out
    processors: r1 = map[processors] ll; call redirect_map; goto out
    sockets: r1 = map[sockets] ll; call redirect_map; goto out
    out: exit
"""
ARRAY, HASH, PROCESSORS, SOCKETS, NO_MAP = range(5)
MAPS = (
    MapSpec("array", MapType.DEVMAP, 4, 8, 8),
    MapSpec("hash", MapType.DEVMAP_HASH, 4, 4, 8),
    MapSpec("processors", MapType.CPUMAP, 4, 8, 2),
    MapSpec("sockets", MapType.XSKMAP, 4, 4, 64),
)


def frame(map: int, key: int = 0, flags: int = 0) -> bytes:
    return (MACS + b"\x88\xb5" + bytes((map, key, flags))).ljust(60, b".")


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


@contextmanager
def redirecting_box() -> Iterator[Box]:
    """Key 1 is the interface outside, 2 is inside, 3 is none of the box's."""
    program = ProgramSpec("redirect", "xdp", XDP_LINUX, assemble(CODE))
    spec = CollectionSpec("test.o", "linux", {"redirect": program}, {each.name: each for each in MAPS})
    loops = PacketLoops(XDP_LINUX, "redirect", "redirect")
    with Topology() as net, Collection.load(spec, loops=loops) as loaded:
        outside, inside = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        for key, index in ((1, outside.index), (2, inside.index), (3, NOWHERE)):
            loaded.maps["array"].update(number(key), number(index, 8))
            loaded.maps["hash"].update(number(key), number(index))
        loaded.maps["processors"].update(number(1), number(128, 8))
        run = Run.of(loaded.engine)
        with run_inside(net.box, lambda: Datapath([Passage(outside, inside)], run)) as datapath:
            yield Box(net, datapath, {})


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with redirecting_box() as running:
        yield running


def exchange(box: Box, sent: bytes) -> tuple[int, int]:
    """Send a frame from outside; how many copies arrive inside, and how many come back outside."""
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        near.send(sent)
        arrived, returned = far.drain(0.1), near.drain()
        assert {*arrived, *returned} <= {sent}
        return len(arrived), len(returned)


@pytest.mark.parametrize("map", [ARRAY, HASH], ids=["devmap", "devmap_hash"])
def test_a_map_of_interfaces(box: Box, map: int) -> None:
    assert exchange(box, frame(map, 2)) == (1, 0)
    assert exchange(box, frame(map, 1)) == (0, 1)
    assert exchange(box, frame(map, 7, PASS)) == (1, 0), "without an entry, the flags say what to do"
    assert exchange(box, frame(map, 7, TX)) == (0, 1)
    assert exchange(box, frame(map, 7, DROP)) == (0, 0)
    assert exchange(box, frame(map, 2, 0x40)) == (0, 0), "unknown flags are aborted"


@pytest.mark.parametrize("map", [ARRAY, HASH], ids=["devmap", "devmap_hash"])
def test_all_interfaces_of_a_map(box: Box, map: int) -> None:
    assert exchange(box, frame(map, 0, BROADCAST)) == (1, 1)
    assert exchange(box, frame(map, 0, BROADCAST | EXCLUDE_INGRESS)) == (1, 0)
    assert exchange(box, frame(map, 2, EXCLUDE_INGRESS)) == (1, 0), "it says nothing about a single interface"


def test_another_processor_would_pass_it(box: Box) -> None:
    before = box.datapath.statistics()["outside"].verdicts[Verdict.REDIRECT].packets
    assert exchange(box, frame(PROCESSORS, 1)) == (1, 0)
    assert exchange(box, frame(PROCESSORS, 0, DROP)) == (0, 0)
    assert box.datapath.statistics()["outside"].verdicts[Verdict.REDIRECT].packets == before + 1


def test_no_socket_is_ever_bound(box: Box) -> None:
    assert exchange(box, frame(SOCKETS, 0, PASS)) == (1, 0)
    assert exchange(box, frame(SOCKETS, 0, DROP)) == (0, 0)


def test_what_can_not_leave_is_counted(box: Box) -> None:
    def unknown() -> int:
        return box.datapath.statistics()["outside"].transmit_errors["redirect_unknown"]

    before = unknown()
    assert exchange(box, frame(ARRAY, 3)) == (0, 0)
    assert unknown() == before + 1
    assert exchange(box, frame(ARRAY, 0, BROADCAST)) == (1, 1)
    assert unknown() == before + 2, "one of the map's three interfaces is not the box's"


@pytest.mark.parametrize("flags", [0, BROADCAST], ids=["one", "all"])
def test_a_target_that_was_not_used_is_forgotten(flags: int) -> None:
    """The first code names a target and drops; the second, on other maps, answers REDIRECT without naming any."""
    naming = f"r1 = map[array] ll; r2 = 2; r3 = {flags}; call redirect_map; r0 = 1; exit"
    with Topology() as net, ExitStack() as loaded:

        def load(text: str, *maps: MapSpec) -> Collection:
            program = ProgramSpec("p", "xdp", XDP_LINUX, assemble(text.replace("; ", "\n")))
            spec = CollectionSpec("test.o", "linux", {"p": program}, {each.name: each for each in maps})
            return loaded.enter_context(Collection.load(spec, loops=PacketLoops(XDP_LINUX, "p", "p")))

        first, second = load(naming, MAPS[0]), load("r0 = 4; exit")
        found = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        first.maps["array"].update(number(2), number(found[1].index, 8))
        run = Run.of(first.engine)
        with run_inside(net.box, lambda: Datapath([Passage(*found)], run)) as datapath:
            box = Box(net, datapath, {})
            assert exchange(box, frame(NO_MAP)) == (0, 0)
            datapath.swap(Run.of(second.engine))
            first.close()
            assert exchange(box, frame(NO_MAP)) == (0, 0)
            seen = datapath.statistics()["outside"]
            assert seen.verdicts[Verdict.REDIRECT].packets == 1
            assert seen.transmit_errors["redirect_unknown"] == 1


def test_a_target_is_good_for_one_frame(box: Box) -> None:
    assert exchange(box, frame(ARRAY, 2)) == (1, 0)
    before = box.datapath.statistics()["outside"].transmit_errors["redirect_unknown"]
    assert exchange(box, frame(NO_MAP)) == (0, 0)
    assert box.datapath.statistics()["outside"].transmit_errors["redirect_unknown"] == before + 1
