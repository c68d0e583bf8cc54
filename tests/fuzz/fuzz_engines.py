"""Random programs through every engine: the checking interpreter, native code of what nobody proved and of what the
verifier has proved, which relies on its facts, and Linux's own eBPF, if it is there.

Run: python -m tests.fuzz engines [--seconds S] [--seed N]

Each engine must give the same r0 and leave the same memory. A find is printed with its seed and its listing.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import TypeAlias

from llvmlite import ir

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.spec import ProgramSpec
from appliance.ir import Engine
from appliance.jit.program import emit_program, emit_raw
from appliance.jit.run import emit_run
from appliance.verifier.unverified import trust_without_proof
from appliance.verifier.verifier import Verifier
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.fuzz.programs import RandomProgram, on_a_frame, random_program
from tests.kernel_bpf import KernelRefused, run_in_kernel

Outcome: TypeAlias = tuple[int, bytes]  # r0, and the memory afterwards
BATCH = 50  # programs in one module: compiling one by one takes much longer
WAVE = 4 * BATCH  # programs between two looks at the clock


def interpreted(program: RandomProgram) -> Outcome:
    memory = bytearray(program.memory)
    spec = ProgramSpec("random", "", XDP_LINUX, program.instructions)
    return Interpreter(spec).run_memory(memory), bytes(memory)


def compiled(programs: Sequence[RandomProgram]) -> list[Outcome]:
    """All of them in one module."""
    module = ir.Module("random")
    for number, program in enumerate(programs):
        emit_raw(module, trust_without_proof(ProgramSpec(f"{number}", "", XDP_LINUX, program.instructions)))
    outcomes = []
    with Engine(module) as engine:
        for number, program in enumerate(programs):
            run = engine.function(f"raw_{number}", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
            memory = ctypes.create_string_buffer(program.memory, len(program.memory))
            outcomes.append((int(run(ctypes.addressof(memory), len(memory))), memory.raw))
    return outcomes


def proved(programs: Sequence[RandomProgram]) -> list[Outcome]:
    """All of them in one module, as XDP programs. Raises Rejected: the verifier takes every one of them."""
    verifier, module = Verifier({}), ir.Module("proved")
    for number, program in enumerate(programs):
        spec = ProgramSpec(f"{number}", "xdp", XDP_LINUX, on_a_frame(program.instructions))
        emit_run(module, emit_program(module, verifier.verify(spec), {}), f"run_{number}")
    outcomes = []
    with Engine(module) as engine:
        for number, program in enumerate(programs):
            run = engine.function(f"run_{number}", ctypes.c_uint64, ctypes.c_void_p)
            memory = ctypes.create_string_buffer(program.memory, len(program.memory))
            start = ctypes.addressof(memory)
            context = FrameContext(data=start, data_meta=start, data_end=start + len(memory))
            outcomes.append((int(run(ctypes.byref(context))), memory.raw))
    return outcomes


def in_kernel(program: RandomProgram) -> Outcome:
    """Of r0 the kernel tells the low 32 bits; the memory has all of it. Raises KernelRefused."""
    run = run_in_kernel(encode(on_a_frame(program.instructions)), program.memory)
    return run.result, run.frame


def disagreements(seeds: Sequence[int], *, kernel: bool) -> Iterator[str]:
    """What differs from the interpreter's outcome, each with the program."""
    programs = [random_program(seed) for seed in seeds]
    for program, native, relying in zip(programs, compiled(programs), proved(programs), strict=True):
        expected = interpreted(program)
        if native != expected:
            yield _find(program, "native code", expected, native)
        if relying != expected:
            yield _find(program, "proved code", expected, relying)
        if kernel:
            yield from kernel_disagreement(program, expected)


def kernel_disagreement(program: RandomProgram, expected: Outcome) -> Iterator[str]:
    """What Linux does otherwise, if it does."""
    try:
        outcome = in_kernel(program)
    except KernelRefused as refusal:
        yield f"seed {program.seed}: Linux refuses it: {str(refusal)[-400:]}"
        return
    answer, memory = expected
    if outcome != (answer & 0xFFFFFFFF, memory):
        yield _find(program, "Linux", expected, outcome)


def _find(program: RandomProgram, engine: str, expected: Outcome, got: Outcome) -> str:
    listing = "\n".join(disassemble(program.instructions))
    return (
        f"seed {program.seed}: the interpreter gives {expected[0]:#x} and {engine} {got[0]:#x}\n"
        f"memory before           {program.memory.hex()}\n"
        f"after, the interpreter  {expected[1].hex()}\n"
        f"after, {engine:<16} {got[1].hex()}\n{listing}"
    )


def kernel_is_there() -> bool:
    """Whether this process may load programs into a Linux that knows every instruction used here (6.15 and later)."""
    newest = assemble("*(u64 *)(r10 - 8) = 0; r0 = load_acquire((u64 *)(r10 - 8)); exit")
    try:
        run_in_kernel(encode(newest), bytes(64))
    except KernelRefused:
        return False
    return True


def _finds_from(seed: int) -> list[str]:
    return list(disagreements(range(seed, seed + BATCH), kernel=kernel_is_there()))


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Compare for that long, and at least so many programs; the number of finds."""
    first, finds, end = seed, 0, time.monotonic() + seconds
    with ProcessPoolExecutor() as processes:
        while time.monotonic() < end or seed - first < least:
            wave = range(seed, seed + WAVE, BATCH)
            for find in chain.from_iterable(processes.map(_finds_from, wave)):
                finds += 1
                print(find, flush=True)
            seed = wave.stop
    engines = "interpreter, native code" + (", Linux" if kernel_is_there() else "")
    print(f"engines: {seed - first} programs through {engines}, {finds} finds", flush=True)
    return finds
