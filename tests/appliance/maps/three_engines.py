"""Programs that are lists of steps, run by the JIT, the interpreter and Linux: all must give one answer.

Every step folds what its helper answered into r7, and r7 ends in the map `answer`. `m` is the map that they work on.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX, WINDOWS
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import models
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.verifier import kernel

ANSWER = MapSpec("answer", MapType.ARRAY, 4, 8, 1)
TELL = (
    "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[answer] ll; call map_lookup_elem;"
    "if r0 == 0 goto out; *(u64 *)(r0 + 0) = r7; out:"
)
FOLD = "r7 *= 31; r7 += r0;"


def with_value(number: int, call: str) -> str:
    """r2 points to the number, r1 is the map."""
    return f"*(u64 *)(r10 - 8) = {number}; r2 = r10; r2 += -8; r1 = map[m] ll; {call}; {FOLD}"


def program(steps: Sequence[str], platform: str = "linux") -> ProgramSpec:
    numbering = LINUX if platform == "linux" else WINDOWS
    text = "r7 = 0; " + " ".join(steps) + TELL + "r0 = 1; exit"
    return ProgramSpec("test", "xdp", numbering.hooks[0], assemble(text, numbering))


def told(value: bytes | bytearray | memoryview | None) -> int:
    assert value is not None
    return int.from_bytes(value, "little")


def collection_of(test: ProgramSpec, map: MapSpec) -> CollectionSpec:
    """The program as `test`, with the map as `m`."""
    return CollectionSpec("test.o", test.hook.platform, {"test": test}, {"m": map, "answer": ANSWER})


def by_jit(spec: CollectionSpec) -> int:
    with Collection.load(spec, loops=run_loops) as loaded:
        run_loaded(loaded, "test", FrameContext())
        return told(loaded.maps["answer"].lookup(bytes(4)))


def by_interpreter(spec: CollectionSpec) -> int:
    maps, test = models(spec.maps), spec.programs["test"]
    Interpreter(test, maps, python_helpers()).run(Context(test.hook, FrameContext(), PacketMemory(bytes(64))))
    return told(maps["answer"].lookup(bytes(4)))


def by_linux(spec: CollectionSpec) -> int:
    with kernel.kernel_maps(spec.maps) as numbers:
        kernel.run(spec.programs["test"], numbers)
        return told(kernel.lookup(numbers["answer"], bytes(4), 8))


def agreed(spec: CollectionSpec) -> int:
    """The one answer of all three."""
    answers = by_jit(spec), by_interpreter(spec), by_linux(spec)
    assert len(set(answers)) == 1, answers
    return answers[0]


def check(steps: Sequence[str], map: MapSpec) -> None:
    agreed(collection_of(program(steps), map))
