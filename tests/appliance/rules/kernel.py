"""A compiled rule set in the Linux kernel: loaded by libbpf through bpftool, run frame by frame, its counters read.

Sources: `union bpf_attr` of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from appliance.rules import CompiledRules
from appliance.rules.code.redirects import stand_ins
from tests.bpffs import BPFFS
from tests.capabilities import requires

VERDICTS = {0: "aborted", 1: "drop", 2: "pass", 3: "tx", 4: "redirect"}
LARGEST_GROWTH = 512  # bytes that a program may put in front of a frame and behind it
SHORTEST = 14  # bytes: the kernel runs no frame shorter than an Ethernet header

_SYS_BPF = 321  # x86_64
_LOOKUP, _UPDATE, _OBJ_GET, _TEST_RUN, _UPDATE_BATCH = 1, 2, 7, 10, 26
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()

needs_kernel = requires("root", "bpf", "bpffs", "bpftool")


def _bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = _libc.syscall(_SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, buffer.raw


def possible_processors() -> int:
    """As many values as an element of a per-CPU map has."""
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")[-1].split("-")[-1]
    return int(last) + 1


class KernelRules:
    """Both programs of a rule set, with their maps."""

    def __init__(self, compiled: CompiledRules, folder: Path) -> None:
        self.compiled = compiled
        self._object = folder / "rules.o"
        self._home = BPFFS / f"tidegate-test-rules-{os.getpid()}-{next(_numbers)}"
        self._open: dict[str, int] = {}
        self.out = b""  # what the last frame was behind the program

    def __enter__(self) -> KernelRules:
        self._object.write_bytes(self.compiled.object)
        self._home.mkdir()
        try:
            programs, maps = str(self._home / "programs"), str(self._home / "maps")
            command = ["bpftool", "prog", "loadall", str(self._object), programs, "type", "xdp", "pinmaps", maps]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-4000:]
            for pinned in [*Path(programs).iterdir(), *Path(maps).iterdir()]:
                path = ctypes.create_string_buffer(str(pinned).encode())
                self._open[pinned.name], _ = _bpf(_OBJ_GET, struct.pack("<QII", ctypes.addressof(path), 0, 0))
            for name, entries in self.compiled.contents.items():
                self._fill(name, entries)
            self.point(stand_ins(self.compiled.exits))
        finally:
            shutil.rmtree(self._home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def descriptor(self, way: str = "in") -> int:
        """One of the programs, open as long as this is."""
        return self._open[f"tidegate_{way}"]

    def _fill(self, name: str, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Put all entries into a map in one call."""
        if not entries:
            return
        data = (b"".join(entry[part] for entry in entries) for part in range(2))
        memories = [ctypes.create_string_buffer(part, len(part)) for part in data]
        places = [ctypes.addressof(memory) for memory in memories]
        _bpf(_UPDATE_BATCH, struct.pack("<QQQQIIQQ", 0, 0, *places, len(entries), self._open[name], 0, 0))

    def point(self, contents: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Put entries into maps of interfaces, which take one at a time."""
        for name, entries in contents.items():
            for key, value in entries:
                self._element(_UPDATE, name, key, ctypes.create_string_buffer(value, len(value)))

    def _element(self, command: int, name: str, key: bytes, value: ctypes.Array[ctypes.c_char]) -> None:
        key_buffer = ctypes.create_string_buffer(key, len(key))
        addresses = ctypes.addressof(key_buffer), ctypes.addressof(value)
        _bpf(command, struct.pack("<IxxxxQQQ", self._open[name], *addresses, 0))

    def run(self, frame: bytes, way: str = "in", times: int = 1) -> str:
        """The verdict, of the last time if more than one (BPF_PROG_TEST_RUN)."""
        return VERDICTS.get(struct.unpack_from("<I", self._test_run(frame, way, times), 4)[0], "aborted")

    def nanoseconds(self, frame: bytes, times: int, way: str = "in") -> int:
        """What one run takes, by the kernel's own account of `times` runs."""
        return int(struct.unpack_from("<I", self._test_run(frame, way, times), 36)[0])

    def _test_run(self, frame: bytes, way: str, times: int) -> bytes:
        given = ctypes.create_string_buffer(frame, len(frame))
        left = ctypes.create_string_buffer(len(frame) + LARGEST_GROWTH)
        places = ctypes.addressof(given), ctypes.addressof(left)
        head = struct.pack("<IIIIQQI", self.descriptor(way), 0, len(frame), len(left), *places, times)
        answer = _bpf(_TEST_RUN, head.ljust(80, b"\0"))[1]
        self.out = left.raw[: struct.unpack_from("<I", answer, 12)[0]]
        return answer

    def _sums(self, name: str, index: int, words: int) -> tuple[int, ...]:
        """A per-CPU array's value, summed over the processors."""
        value = ctypes.create_string_buffer(8 * words * possible_processors())
        self._element(_LOOKUP, name, struct.pack("<I", index), value)
        numbers = struct.unpack(f"<{words * possible_processors()}Q", value.raw)
        return tuple(sum(numbers[word::words]) for word in range(words))

    def packets(self) -> dict[str, int]:
        """Frames counted, by the id of the rule or the name of the verdict."""
        return {c.id: self._sums(self.compiled.counters, c.index, 2)[0] for c in self.compiled.counted}

    def bytes(self) -> dict[str, int]:
        return {c.id: self._sums(self.compiled.counters, c.index, 2)[1] for c in self.compiled.counted}

    def errors(self) -> dict[str, int]:
        """Malformed frames, by reason."""
        reasons = enumerate(self.compiled.parse_error_reasons)
        return {reason: self._sums(self.compiled.parse_errors, index, 1)[0] for index, reason in reasons}
