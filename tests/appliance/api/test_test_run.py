"""Test runs: what comes out is what the interpreter and the kernel find, however often the program runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from appliance.api import NoSuchName, ValueUnfit, open_object
from appliance.datapath.test_run_data import HEADROOM, PAGE_ROOM
from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.helpers.model.table import python_helpers
from appliance.maps.model.models import models
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.api.objects import FRAME, example
from tests.appliance.ebpf.compiling import PROGRAMS, compile_c
from tests.programs.kernel import KernelProgram, bpftool, needs_kernel

MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}
FRAMES = {
    "udp": bytes(Ether(**MACS) / IP(src="192.0.2.1") / UDP(dport=9) / b"payload") + bytes(14),
    "tcp": bytes(Ether(**MACS) / IP(src="192.0.2.1") / TCP(dport=80)),
    "tags": bytes(Ether(**MACS) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP() / UDP()),
    "short": bytes(range(14)),
    "a page": bytes(Ether(**MACS) / IP() / UDP()).ljust(3000, b"."),
}
OBJECTS = sorted(PROGRAMS.glob("xdp_*.bpf.o"))


def name_of(path: Path) -> str:
    """The program that the object is called after."""
    return path.name.partition(".")[0]


every_object = pytest.mark.parametrize("path", OBJECTS, ids=name_of)
REPEATS = (1, 2, 5)


def found_natively(path: Path) -> Iterator[tuple[int, bytes]]:
    with open_object(path).load() as loaded:
        program = loaded.programs[name_of(path)]
        for frame, repeat in product(FRAMES.values(), REPEATS):
            run = program.test_run(frame, repeat=repeat)
            assert run.verdict is XDP_LINUX.verdicts[run.retval]
            yield run.retval, run.data_out


def found_by_interpreter(path: Path) -> Iterator[tuple[int, bytes]]:
    spec = open_object(path).spec
    maps = models(spec.maps)
    interpreter = Interpreter(spec.programs[name_of(path)], maps, python_helpers(), programs=spec.programs)
    for frame, repeat in product(FRAMES.values(), REPEATS):
        packet = PacketMemory(frame, headroom=HEADROOM, tailroom=max(0, PAGE_ROOM - len(frame)))
        answers = [interpreter.run(Context(XDP_LINUX, FrameContext(), packet)) for _ in range(repeat)]
        yield answers[-1] & 0xFFFFFFFF, packet.frame


def found_by_kernel(path: Path, folder: Path) -> Iterator[tuple[int, bytes]]:
    given, got = folder / "in", folder / "out"
    files = "data_in", str(given), "data_out", str(got)
    with KernelProgram(path, name_of(path)) as program:
        for frame, repeat in product(FRAMES.values(), REPEATS):
            given.write_bytes(frame)
            answer = bpftool("-j", "prog", "run", "pinned", str(program.pin), *files, "repeat", str(repeat))
            yield json.loads(answer)["retval"], got.read_bytes()


@every_object
def test_as_the_interpreter(path: Path) -> None:
    assert list(found_natively(path)) == list(found_by_interpreter(path))


@needs_kernel
@every_object
def test_as_the_kernel(path: Path, tmp_path: Path) -> None:
    assert list(found_natively(path)) == list(found_by_kernel(path, tmp_path))


def test_runs_are_made_and_not_only_counted() -> None:
    found = open_object(example())
    found.programs["unsafe"].autoload = False
    with found.load() as loaded:
        run = loaded.programs["count"].test_run(FRAME, repeat=1000)
        assert (run.retval, run.verdict, run.data_out) == (1, Verdict.DROP, FRAME)
        assert loaded.variables["frames"] == (1000).to_bytes(8, "little")
        assert run.duration_ns > 0


def test_the_context_goes_in_and_comes_out() -> None:
    with open_object(
        compile_c('SEC("xdp") int queue(struct xdp_md *c) { return c->rx_queue_index & 3; }')
    ).load() as loaded:
        given = {"ingress_ifindex": 5, "rx_queue_index": 3}
        run = loaded.programs["queue"].test_run(FRAME, context=given)
        assert run.verdict is Verdict.TX
        assert run.context_out == {**given, "egress_ifindex": 0}


@pytest.mark.parametrize("size", [14, PAGE_ROOM, PAGE_ROOM + 1, 262144])
def test_the_whole_range_of_sizes(size: int) -> None:
    frame = bytes(i & 0xFF for i in range(size))
    with open_object(PROGRAMS / "xdp_swap.bpf.o").load() as loaded:
        assert loaded.programs["xdp_swap"].test_run(frame).data_out == frame[6:12] + frame[:6] + frame[12:]


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        (bytes(13), {}, "a frame of 13 bytes\n  hint: an Ethernet frame here has 14 to 262144 bytes"),
        (bytes(262145), {}, "a frame of 262145 bytes\n  hint: an Ethernet frame here has 14 to 262144 bytes"),
        (FRAME, {"repeat": 0}, "repeat is 0\n  hint: from 1 to 100000000"),
        (FRAME, {"repeat": 100_000_001}, "repeat is 100000001\n  hint: from 1 to 100000000"),
        (
            FRAME,
            {"context": {"data": 1}},
            "xdp_md: there is no field of the context to be given 'data'\n"
            "  hint: known: ingress_ifindex, rx_queue_index, egress_ifindex",
        ),
        (
            FRAME,
            {"context": {"ingress_ifindex": 1 << 32}},
            "ingress_ifindex is 4294967296\n  hint: it has 4 bytes, without a sign",
        ),
    ],
    ids=["short", "long", "never", "too often", "a pointer", "a large number"],
)
def test_what_is_refused(data: bytes, more: dict[str, object], message: str) -> None:
    with open_object(PROGRAMS / "xdp_pass.bpf.o").load() as loaded:
        with pytest.raises((ValueUnfit, NoSuchName)) as error:
            loaded.programs["xdp_pass"].test_run(data, **more)
        assert str(error.value) == message
