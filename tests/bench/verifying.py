"""One process that verifies one program: a task as JSON on standard input, what it took on standard output.

{"shape": …, "size": …}     a program of `tests.appliance.verifier.shapes`
{"source": …}               a program in C
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping

from appliance.ebpf.assembler import assemble
from appliance.ebpf.objects import load_object
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.verifier import Rejected, Verifier
from hooks.xdp import XDP_LINUX
from tests.appliance.ebpf.compiling import compile_alone
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
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(measured))


def _program(task: Mapping[str, object]) -> tuple[ProgramSpec, Mapping[str, MapSpec]]:
    if "source" in task:
        spec = load_object(compile_alone(str(task["source"])), "large.bpf.o")
        return next(iter(spec.programs.values())), spec.maps
    code = shaped(str(task["shape"]), int(str(task["size"])))
    return ProgramSpec("shaped", XDP_LINUX.name, XDP_LINUX, assemble(code)), {}


if __name__ == "__main__":
    main()
