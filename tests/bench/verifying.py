"""One process that verifies one program: a task as JSON on standard input, what it took on standard output.

{"shape": …, "size": …}     a program of `tests.appliance.verifier.shapes`
{"source": …}               a program in C

The memory is the most that this process has had in RAM, of its own address space (VmHWM of proc_pid_status(5)): what
getrusage tells counts that of the process before it, too. Where this process may call bpf(), Linux verifies the same
program, and compiles it: that is what BPF_PROG_LOAD takes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.verifier import Rejected, Verifier
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.ebpf.compiling import compile_alone
from tests.appliance.verifier import kernel
from tests.appliance.verifier.shapes import shaped

TRIES = 3


def main() -> None:
    program, maps = _program(json.load(sys.stdin))
    took, accepted = [], True
    for _ in range(TRIES):
        began = time.perf_counter()
        try:
            Verifier(maps).verify(program)
        except Rejected as rejected:
            accepted = False
            print(rejected, file=sys.stderr)
        took.append(time.perf_counter() - began)
    measured = {
        "accepted": accepted,
        "instructions": len(program.instructions),
        "seconds": min(took),
        "megabytes": _most_memory(),
        "linux_seconds": _linux(program, maps) if kernel.available() else None,
    }
    print(json.dumps(measured))


def _most_memory() -> float:
    """In megabytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def _linux(program: ProgramSpec, maps: Mapping[str, MapSpec]) -> float | None:
    """The seconds that Linux takes, the best of some; None if it rejects the program."""
    took = []
    with kernel.kernel_maps(maps) as made:
        for _ in range(TRIES):
            began = time.perf_counter()
            if not kernel.accepts_quietly(program, made):
                return None
            took.append(time.perf_counter() - began)
    return min(took)


def _program(task: Mapping[str, object]) -> tuple[ProgramSpec, Mapping[str, MapSpec]]:
    if "source" in task:
        spec = load_object(compile_alone(str(task["source"])), "large.bpf.o")
        return next(iter(spec.programs.values())), spec.maps
    code = shaped(str(task["shape"]), int(str(task["size"])))
    return ProgramSpec("shaped", XDP_LINUX.name, XDP_LINUX, assemble(code)), {}


if __name__ == "__main__":
    main()
