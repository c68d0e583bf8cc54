"""`tidegate exec`: raw bytecode, unverified, run once. The plugin of the public bpf_conformance suite.

This is the only door for programs that nobody proved (docs/decisions/0003-the-unverified-door.md), and so it opens in
a child process, with limits on time and memory: what crashes there is a message here.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable

import click

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.codec import decode
from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import InputRefused, TidegateError
from appliance.helpers.model.table import python_helpers
from appliance.jit.raw import run_raw
from appliance.verifier.unverified import trust_without_proof
from hooks.contracts.xdp import XDP_LINUX

CPU_SECONDS = 30


@click.command()
@click.option("--engine", type=click.Choice(["interpreter", "jit"]), default="jit", show_default=True)
@click.option("--program", "program_hex", metavar="HEX", help="The program, instead of standard input.")
@click.option("--elf", "is_object", is_flag=True, help="The program is an object file; its first program runs.")
@click.option("--debug", is_flag=True, help="List the program on standard error.")
@click.argument("memory_hex", metavar="[MEMORY-HEX]", required=False, default="")
@click.argument("nothing", metavar="", required=False, default="")
def command(engine: str, program_hex: str | None, is_object: bool, debug: bool, memory_hex: str, nothing: str) -> int:
    """Run raw bytecode once, UNVERIFIED, in a child process; print r0 in hex.

    The program comes on standard input, as hex digits. r1 points to the memory, which is writable; r2 is its length.
    """
    if nothing:  # the suite may give its plugin's options as one empty argument
        raise click.UsageError(f"Got unexpected extra argument ({nothing})")
    memory = bytearray(_bytes_of(memory_hex, "MEMORY-HEX"))
    where = "standard input" if program_hex is None else "--program"
    code = _bytes_of(sys.stdin.buffer.read().decode("ascii", "replace") if program_hex is None else program_hex, where)
    if not code:
        raise InputRefused("no program", where=where, hint="give its bytecode as hex digits")
    program = _first_program(code, where) if is_object else ProgramSpec("exec", "", XDP_LINUX, decode(code))
    if debug:
        print("\n".join(disassemble(program.instructions)), file=sys.stderr)
    return _in_child(lambda: ENGINES[engine](program, memory))


def _first_program(data: bytes, where: str) -> ProgramSpec:
    """The object's first program; it gets no maps."""
    programs = load_object(data, where).programs
    if not programs:
        raise InputRefused("the object has no program", where=where)
    return next(iter(programs.values()))


def _bytes_of(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex("".join(text.split()))
    except ValueError as error:
        raise InputRefused("not hex digits in pairs", where=where, hint="write bytes as in `b7 00 00 00`") from error


def _interpret(program: ProgramSpec, memory: bytearray) -> int:
    return Interpreter(program, helpers=python_helpers()).run_memory(memory)


def _compile_and_run(program: ProgramSpec, memory: bytearray) -> int:
    return run_raw(trust_without_proof(program), memory)


ENGINES: dict[str, Callable[[ProgramSpec, bytearray], int]] = {"interpreter": _interpret, "jit": _compile_and_run}


def _in_child(run: Callable[[], int]) -> int:
    """Run and print in a forked child; its exit status, or a message if it was killed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_child(run))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGXCPU:
        raise InputRefused(f"no end after {CPU_SECONDS} seconds", hint="`--engine interpreter` counts instructions")
    if status < 0:
        name = signal.Signals(-status).name
        raise InputRefused(f"the program was ended by {name}", hint="`--engine interpreter` says which access it was")
    return status


def _child(run: Callable[[], int]) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))  # SIGXCPU first: it says why
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        print(f"{run():x}", flush=True)
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr, flush=True)
        return error.exit_status
    except BaseException:  # the child must end here, whatever happened, and not go on as a second parent
        traceback.print_exc()
        return 1
    return 0
