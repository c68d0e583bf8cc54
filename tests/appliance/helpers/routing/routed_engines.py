"""One question about routes to the interpreter, native code and Linux, and what they answer."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import model
from hooks.contracts.xdp import FrameContext
from hooks.interfaces.netns import Namespace
from hooks.linux.bpf import bpf_fib_lookup
from tests.appliance.jit.support import Frame, run_loaded
from tests.appliance.verifier import kernel
from tests.netns import run_inside

QUESTION = MapSpec("question", MapType.ARRAY, 4, 72, 1)
ASK = """
    r6 = r1
    *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[question] ll; call map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r1 = r6; r2 = r7; r3 = 64; r4 = *(u32 *)(r7 + 64); call fib_lookup
    *(u64 *)(r7 + 64) = r0
    out: r0 = 2
    exit
"""
CHECK = """
    r6 = r1
    *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[question] ll; call map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r1 = r6; r2 = *(u32 *)(r7 + 0); r3 = r7; r3 += 8; r4 = *(u32 *)(r7 + 16); r5 = *(u64 *)(r7 + 24); call check_mtu
    *(u64 *)(r7 + 32) = r0
    out: r0 = 2
    exit
"""
FRAME = bytes(64)


def program(name: str, text: str) -> ProgramSpec:
    return ProgramSpec(name, "xdp", LINUX.hooks[0], assemble(text))


PROGRAMS = {"ask": program("ask", ASK), "check": program("check", CHECK)}


class Engines:
    """One question to all three. `ask` gives what the map holds afterwards, which is the same for all of them."""

    def __init__(self, loaded: Collection, numbers: dict[str, int], namespace: Namespace, routing: int) -> None:
        self.loaded, self.numbers, self.namespace, self.routing = loaded, numbers, namespace, routing

    def native(self, name: str, value: bytes) -> bytes:
        frame = Frame(FRAME)
        frame.context.routing = self.routing
        frame.context.ingress_ifindex = 1
        self.loaded.maps["question"].update(bytes(4), value)
        run_loaded(self.loaded, name, frame.context)
        return self.loaded.maps["question"].lookup(bytes(4)) or b""

    def checked(self, name: str, value: bytes) -> bytes:
        maps = {"question": model(QUESTION)}
        maps["question"].update(bytes(4), value)
        frame = FrameContext(routing=self.routing, ingress_ifindex=1)
        Interpreter(PROGRAMS[name], maps, python_helpers()).run(Context(LINUX.hooks[0], frame, PacketMemory(FRAME)))
        return bytes(maps["question"].lookup(bytes(4)) or b"")

    def linux(self, name: str, value: bytes) -> bytes:
        kernel.update(self.numbers["question"], bytes(4), value)
        run_inside(self.namespace, lambda: kernel.run(PROGRAMS[name], self.numbers))
        return kernel.lookup(self.numbers["question"], bytes(4), len(value))

    def both(self, name: str, value: bytes) -> bytes:
        native, checked = self.native(name, value), self.checked(name, value)
        assert native.hex(" ") == checked.hex(" ")
        return native

    def all_three(self, name: str, value: bytes) -> bytes:
        answer = self.both(name, value)
        assert answer.hex(" ") == self.linux(name, value).hex(" ")
        return answer


def question(
    destination: str,
    source: str | None = None,
    *,
    flags: int = 0,
    interface: int = 2,
    length: int = 0,
    mark: int = 0,
    table: int = 0,
) -> bytes:
    address = ipaddress.ip_address(destination)
    source = source or ("10.0.0.9" if address.version == 4 else "fd00::9")
    asked = bpf_fib_lookup(
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        l4_protocol=17,
        tot_len=length,
        ifindex=interface,
        tbid=table,
        mark=mark,
    )
    for name, text in (("dst", destination), ("src", source)):
        ctypes.memmove(
            ctypes.addressof(getattr(asked, name)), ipaddress.ip_address(text).packed, address.max_prefixlen // 8
        )
    return bytes(asked) + struct.pack("<Q", flags)


def answer(value: bytes) -> tuple[int, bpf_fib_lookup]:
    return struct.unpack_from("<q", value, 64)[0], bpf_fib_lookup.from_buffer_copy(value)
