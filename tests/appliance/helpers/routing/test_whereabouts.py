"""Who runs a program, and where: the interpreter, native code and the kernel answer of this very process."""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.helpers.test_text import interpreted, native
from tests.programs.kernel import KernelProgram, needs_kernel

NAMESPACE = Path("/proc/self/ns/pid").stat()
ANSWERS = struct.Struct("<16x Q q II q II q II")  # node; then status and what became of the bytes, three times
FRAME = bytes(ANSWERS.size)


def asking() -> bytes:
    """A program that asks for the memory node, then for itself: in this namespace, in another, with a wrong size."""
    right = f"{NAMESPACE.st_dev}ULL, {NAMESPACE.st_ino}ULL"
    asked = ((right, 8), (f"{NAMESPACE.st_dev}ULL, {NAMESPACE.st_ino + 1}ULL", 8), (right, 4))
    steps = "\n".join(
        f"""{{ unsigned int told[2] = {{7, 7}};
        frame[{3 + 2 * n}] = bpf_get_ns_current_pid_tgid({where}, (void *)told, {size});
        __builtin_memcpy(frame + {4 + 2 * n}, told, 8); }}"""
        for n, (where, size) in enumerate(asked)
    )
    return compile_c(f"""SEC("xdp") int p(struct xdp_md *ctx) {{
        long *frame = (void *)(long)ctx->data;
        if (frame + {ANSWERS.size // 8} > (long *)(long)ctx->data_end) return 0;
        frame[2] = bpf_get_numa_node_id();
        {steps}
        return 2; }}
    char _license[] SEC("license") = "GPL";""")


def expected() -> tuple[int, ...]:
    """`struct bpf_pidns_info` has the thread first; a refusal leaves zeros in as many bytes as were named."""
    return 0, 0, threading.get_native_id(), os.getpid(), -errno.EINVAL, 0, 0, -errno.EINVAL, 0, 7


@pytest.mark.parametrize("engine", [native, interpreted])
def test_an_engine_knows(engine: Callable[[bytes, bytes], bytes]) -> None:
    """In a thread of its own, whose number is not that of the process."""
    with ThreadPoolExecutor(1) as threads:
        answers, right = threads.submit(lambda: (engine(asking(), FRAME), expected())).result()
    assert ANSWERS.unpack(answers) == right
    assert right[2] != right[3]


@needs_kernel
def test_the_kernel_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "asking.o"
    path.write_bytes(asking())
    with KernelProgram(path) as kernel:
        node, status, thread, process, *rest = ANSWERS.unpack(kernel.run(FRAME).frame)
    assert (node, status, *rest) == (*expected()[:2], *expected()[4:])
    assert thread == process != os.getpid()  # who runs it there is a command
