"""Maps and programs in the kernel, and frames that it sends."""

from __future__ import annotations

import struct

import pytest

from hooks.errors import HookError
from hooks.interfaces.ethtool import set_features
from hooks.interfaces.netdev import find_interface
from hooks.kernel.live_frames import LiveFrames
from hooks.kernel.objects import KernelArray
from hooks.kernel.programs import KernelXdp
from tests.capabilities import requires
from tests.netns import Topology

pytestmark = [pytest.mark.netns, requires("bpf")]
MOVE_32, CALL, EXIT = 0xB4, 0x85, 0x95  # opcodes: w = immediate, call helper, exit
REDIRECT = 23  # BPF_FUNC_redirect


def slots(*instructions: tuple[int, int, int]) -> bytes:
    """Opcode, registers, immediate."""
    return b"".join(struct.pack("=BBhi", code, registers, 0, number) for code, registers, number in instructions)


def test_an_array_keeps_what_is_put_in() -> None:
    with KernelArray(12, 3) as array:
        array[2] = b"twelve bytes"
        array[1] = b"short"
        assert [array[number] for number in range(3)] == [bytes(12), b"short".ljust(12, b"\0"), b"twelve bytes"]
        with pytest.raises(OSError, match="Argument list too long"):
            array[3] = b"behind the end"[:12]
    array.close()
    assert array.descriptor == -1


def test_a_program_that_is_refused_says_why() -> None:
    with pytest.raises(HookError) as raised:
        KernelXdp(slots((EXIT, 0, 0)))
    assert raised.value.what == "the kernel refuses the program: Permission denied"
    assert "R0 !read_ok" in str(raised.value.hint)


def test_frames_are_sent_as_often_as_asked(topology: Topology) -> None:
    with topology.box.entered():
        set_features("outside", {"rx-gro": True})
    with topology.box.packet_socket("outside") as far:
        with topology.outside.entered():
            code = slots((MOVE_32, 1, find_interface("eth0").index), (MOVE_32, 2, 0), (CALL, 0, REDIRECT), (EXIT, 0, 0))
            with KernelXdp(code) as program, LiveFrames(program, 70) as frames:
                frames.send(10)
        assert far.drain().count(bytes(70)) == 10


def test_a_program_rests_on_the_loopback_interface_meanwhile(topology: Topology) -> None:
    """So that no call waits for RCU; what is attached there keeps it, and nothing stays."""

    def attached() -> str | None:
        with topology.box.netlink() as route:
            xdp = route.get_links(1)[0].get_attr("IFLA_XDP")
        return xdp.get_attr("IFLA_XDP_ATTACHED") or None

    with topology.box.entered(), KernelXdp(slots((MOVE_32, 0, 2), (EXIT, 0, 0))) as program:
        with LiveFrames(program, 70) as frames:
            assert attached() == "xdpgeneric"
            frames.send(100)
        assert attached() is None


def test_a_closed_program_is_an_error(topology: Topology) -> None:
    with topology.box.entered():
        with KernelXdp(slots((MOVE_32, 0, 2), (EXIT, 0, 0))) as program:
            frames = LiveFrames(program, 70)
        with frames, pytest.raises(HookError, match="with live frames: Bad file descriptor"):
            frames.send(1)
