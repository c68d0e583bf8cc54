"""An object in the Linux kernel, to be measured: its maps filled in one call, its programs run many times in one."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import struct
import subprocess
from pathlib import Path
from types import TracebackType

from tests.bpffs import BPFFS, mount_bpffs
from tests.kernel_bpf import BPF_PROG_TEST_RUN, _bpf
from tests.programs.kernel import bpftool

BPF_OBJ_GET, BPF_MAP_UPDATE_BATCH = 7, 26
BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1
_numbers = itertools.count()


def compile_object(source: Path, path: Path, *options: str) -> Path:
    """Compile C to an eBPF object at `path`."""
    include = "-I/usr/include/x86_64-linux-gnu"
    command = ["clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", include, *options, "-c", "-o", path, source]
    subprocess.run(command, check=True)
    return path


class KernelObject:
    """Every program and map of an object. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._home = BPFFS / f"tidegate-bench-{os.getpid()}-{next(_numbers)}"

    def __enter__(self) -> KernelObject:
        mount_bpffs()
        self._home.mkdir()
        try:
            programs, maps = (str(self._home / name) for name in ("programs", "maps"))
            bpftool("prog", "loadall", str(self._path), programs, "type", "xdp", "pinmaps", maps)
        except BaseException:
            shutil.rmtree(self._home)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._home)

    def fill(self, name: str, keys: bytes, values: bytes, count: int) -> None:
        """Put `count` entries into a map; keys and values stand one behind the other."""
        descriptor = self._open("maps", name)
        memories = [ctypes.create_string_buffer(data, len(data)) for data in (keys, values)]
        places = [ctypes.addressof(memory) for memory in memories]
        _bpf(BPF_MAP_UPDATE_BATCH, struct.pack("=QQQQIIQQ", 0, 0, *places, count, descriptor, 0, 0))
        os.close(descriptor)

    def run(self, name: str, frame: bytes, repeat: int) -> tuple[int, float]:
        """The program's answer, and the mean nanoseconds of a run, as the kernel counts them."""
        return self._test_run(name, frame, repeat, 0)

    def send(self, name: str, frame: bytes, count: int) -> float:
        """Run an XDP program on `count` live frames: what it redirects or passes is sent, or received, indeed. The mean
        nanoseconds of a frame; what the kernel prepares for a call, some milliseconds, is not in it."""
        return self._test_run(name, frame, count, BPF_F_TEST_XDP_LIVE_FRAMES)[1]

    def _test_run(self, name: str, frame: bytes, repeat: int, flags: int) -> tuple[int, float]:
        descriptor = self._open("programs", name)
        memory = ctypes.create_string_buffer(frame, len(frame))
        test = struct.pack("=IIIIQQII", descriptor, 0, len(frame), 0, ctypes.addressof(memory), 0, repeat, 0)
        no_context = struct.pack("=IIQQ", 0, 0, 0, 0)
        _, answer = _bpf(BPF_PROG_TEST_RUN, test + no_context + struct.pack("=III", flags, 0, 0))
        os.close(descriptor)
        _, result, _, _, _, _, _, nanoseconds = struct.unpack_from("=IIIIQQII", answer)
        return result, nanoseconds

    def _open(self, *names: str) -> int:
        path = ctypes.create_string_buffer(str(self._home.joinpath(*names)).encode())
        return _bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(path), 0, 0))[0]
