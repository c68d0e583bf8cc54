"""Programs for the JIT's tests: made by hand, with facts as the verifier would state them."""

import ctypes
from collections.abc import Mapping, Sequence
from textwrap import dedent

from llvmlite import ir

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.helpers.native import Clock, MapSite
from appliance.ir import Engine
from appliance.jit import raw as jit_raw
from appliance.jit.collection import Collection
from appliance.jit.program import emit_program
from appliance.jit.run import emit_run
from appliance.verifier.program import _TOKEN, Access, CallFacts, Facts, VerifiedProgram
from appliance.verifier.unverified import trust_without_proof
from hooks.contracts.xdp import XDP_LINUX, FrameContext


def program(
    instructions: Sequence[Instruction],
    accesses: Mapping[int, Access] | None = None,
    calls: Mapping[int, CallFacts] | None = None,
    reachable: frozenset[int] | None = None,
) -> VerifiedProgram:
    """A program that was proved to be what the test says."""
    spec = ProgramSpec("test", "xdp", XDP_LINUX, tuple(instructions))
    everything = frozenset(range(len(instructions)))
    facts = Facts(accesses or {}, calls or {}, everything if reachable is None else reachable)
    return VerifiedProgram(_TOKEN, spec, {}, facts, 0.0)


def run_raw(instructions: Sequence[Instruction], memory: bytearray | None = None) -> int:
    """r0 of bytecode that nobody verified, given memory that it may change."""
    spec = ProgramSpec("test", "", XDP_LINUX, tuple(instructions))
    return jit_raw.run_raw(trust_without_proof(spec), bytearray() if memory is None else memory)


def run_frame(
    verified: VerifiedProgram,
    context: FrameContext,
    maps: Mapping[str, MapSite] | None = None,
    clock: Clock = Clock.MONOTONIC,
) -> int:
    """r0 of a program upon a frame."""
    module = ir.Module("frame")
    emit_run(module, emit_program(module, verified, maps or {}, clock))
    with Engine(module) as engine:
        return int(engine.function("run", ctypes.c_uint64, ctypes.c_void_p)(ctypes.byref(context)))


class Frame:
    """A frame in memory with room around it, and its context."""

    def __init__(self, data: bytes, headroom: int = 32, tailroom: int = 32) -> None:
        self.memory = bytearray(headroom) + bytearray(data) + bytearray(b"\xff" * tailroom)
        self._anchor = ctypes.c_char.from_buffer(self.memory)
        self.start = ctypes.addressof(self._anchor)
        begin = self.start + headroom
        self.context = FrameContext(
            data=begin,
            data_end=begin + len(data),
            data_meta=begin,
            hard_start=self.start,
            hard_end=self.start + len(self.memory),
        )

    @property
    def data(self) -> bytes:
        """What the frame is now."""
        return bytes(self.memory[self.context.data - self.start : self.context.data_end - self.start])


def collection_spec(maps: Sequence[MapSpec] = (), **programs: str) -> CollectionSpec:
    """A collection of Linux XDP programs in assembly, by name."""
    return CollectionSpec(
        source="test.o",
        platform="linux",
        programs={name: ProgramSpec(name, "xdp", XDP_LINUX, assemble(dedent(text))) for name, text in programs.items()},
        maps={spec.name: spec for spec in maps},
    )


def run_loops(module: ir.Module, functions: Mapping[str, ir.Function]) -> None:
    """A loop for each program, `run_NAME`."""
    for name, function in functions.items():
        emit_run(module, function, f"run_{name}")


def run_loaded(collection: Collection, name: str, context: FrameContext) -> int:
    """r0 of one program of a collection that was loaded with `run_loops`."""
    run = collection.engine.function(f"run_{name}", ctypes.c_uint64, ctypes.c_void_p)
    return int(run(ctypes.byref(context)))
