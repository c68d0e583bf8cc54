"""Programs in C, compiled twice: by clang for eBPF and then here, and by clang for the machine itself.

One source, one frame, one process and one native loop around both, which calls them by their addresses. What is
compared are the fastest of many short windows in turns: other work on the machine only ever adds.
"""

from __future__ import annotations

import ctypes
import random
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.datapath.test_run import TestRunBlock, export_programs, native_loop
from appliance.ebpf.objects.objects import load_object_file
from appliance.jit.collection import Collection
from appliance.jit.program import entry_name
from hooks.contracts.xdp import FrameContext
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate

SOURCES = Path(__file__).parent / "native"
ROUNDS = 301  # the scheduler takes a share of the windows: enough are left whole
WINDOW_SECONDS = 0.0006
MOST_MEAN, MOST_EACH = 1.05, 1.15
RESULT = bytes(8)  # where a program puts what it found
_RANDOM = random.Random(1)


def _packet() -> bytes:
    """802.1ad and 802.1Q tags, IPv4 with an option, TCP."""
    ethernet = bytes.fromhex("020000000002 020000000001 88a8 0064 8100 0065 0800")
    ip = bytes.fromhex("4600 0040 0000 0000 4006 0000 0a000001 0a000002 01010101")
    tcp = bytes.fromhex("1234 0050 00000001 00000002 5010 1000 0000 0000")
    return ethernet + ip + tcp


def _alike() -> bytes:
    """Two halves of 256 bytes that differ in the last one."""
    half = _RANDOM.randbytes(255)
    return half + b"\0" + half + b"\1"


FRAMES: Mapping[str, Callable[[], bytes]] = {
    "parse": _packet,
    "compare": _alike,
    "copy": lambda: _RANDOM.randbytes(512),
    "switch": lambda: _RANDOM.randbytes(512),
    "divide": lambda: _RANDOM.randbytes(512),
    "arithmetic": lambda: _RANDOM.randbytes(64),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a window: the frame as it is afterwards, and nanoseconds for each call."""

    frame: bytes
    nanoseconds: float


def run(function: int, frame: bytes, repeat: int) -> Run:
    """Call the function at that address on the frame, by the native loop of test runs."""
    memory = ctypes.create_string_buffer(frame, len(frame))
    start = ctypes.addressof(memory)
    context = FrameContext(data=start, data_meta=start, data_end=start + len(frame))
    block = TestRunBlock(context=ctypes.addressof(context), program=function, repeat=repeat)
    native_loop()(ctypes.addressof(block))
    return Run(memory.raw, block.nanoseconds / repeat)


def build(name: str, folder: Path) -> tuple[Path, Mapping[str, Path]]:
    """The object for eBPF, and the shared objects for this machine: as clang does it, and for its very processor."""
    source, made = SOURCES / f"{name}.c", folder / f"native-{name}"
    bpf, plain, tuned = (made.with_suffix(suffix) for suffix in (".bpf.o", ".so", ".tuned.so"))
    before = f"-DBEFORE_DATA={FrameContext.data.offset}"
    for options in (
        ["-target", "bpf", "-mcpu=v3", "-g", "-c", "-o", bpf],
        [before, "-shared", "-fPIC", "-o", plain],
        [before, "-shared", "-fPIC", "-march=native", "-o", tuned],
    ):
        subprocess.run(["clang", "-O2", "-Wall", *options, source], check=True)
    return bpf, {"clang -O2": plain, "clang -O2 -march=native": tuned}


def main(bench: Bench) -> Iterator[Figure]:
    ratios = []
    for name in FRAMES:
        figure = _measure(name, bench)
        ratios.append(figure.ratio or 0.0)
        yield figure
    mean = Target(Compared.VALUE, at_most=MOST_MEAN)
    yield Figure("C through eBPF, geometric mean of the ratios", statistics.geometric_mean(ratios), "", target=mean)


def _measure(name: str, bench: Bench) -> Figure:
    frame = RESULT + FRAMES[name]()
    bpf, natives = build(name, bench.folder)
    libraries = {who: ctypes.CDLL(str(path)) for who, path in natives.items()}
    with Collection.load(load_object_file(bpf), loops=export_programs) as loaded:
        functions = {"here": loaded.engine.address(entry_name("program"))}
        for who, library in libraries.items():
            functions[who] = ctypes.cast(library.program, ctypes.c_void_p).value or 0
        first = {who: run(function, frame, 1).frame for who, function in functions.items()}
        if len(set(first.values())) > 1:
            raise AssertionError(f"{name} gives {first}")
        estimate = run(functions["here"], frame, 1000).nanoseconds
        repeat = max(1, int(bench.window(WINDOW_SECONDS) * 1e9 / max(estimate, 1.0)))
        samples = alternate(
            ROUNDS,
            {
                who: lambda function=function: run(function, frame, repeat).nanoseconds  # type: ignore[misc]
                for who, function in functions.items()
            },
        )
    here, plain, tuned = (min(values) for values in samples.values())
    return Figure(
        name=f"C through eBPF, {name}",
        value=here,
        unit="ns",
        peer="clang -O2",
        peer_value=plain,
        target=Target(Compared.RATIO, at_most=MOST_EACH),
        remark=f"-march=native {tuned:.3g} ns: {here / tuned:.3f}",
        samples=samples,
    )
