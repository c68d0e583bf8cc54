"""Programs in the Linux kernel, by way of bpftool: loaded, pinned under a name of the test's own, run, and removed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.bpffs import BPFFS
from tests.capabilities import requires

VERDICTS = {0: "aborted", 1: "drop", 2: "pass", 3: "tx", 4: "redirect"}

needs_kernel = requires("root", "bpf", "bpffs", "bpftool")

_numbers = itertools.count()


def bpftool(*arguments: str) -> str:
    """What bpftool prints. Raises AssertionError with its words if it fails."""
    done = subprocess.run(["bpftool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Run:
    """What became of one frame."""

    verdict: str
    frame: bytes


class KernelProgram:
    """The first program of an object, or the one of that name, loaded as XDP; its maps are pinned beside it."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._home = BPFFS / f"tidegate-test-{os.getpid()}-{next(_numbers)}"
        self._programs = self._home / "programs" if name else self._home / "program"
        self.pin = self._programs / name if name else self._programs
        self._path = path

    def __enter__(self) -> KernelProgram:
        self._home.mkdir()
        try:
            load = "load" if self.pin == self._programs else "loadall"
            bpftool("prog", load, str(self._path), str(self._programs), "type", "xdp", "pinmaps", str(self._home))
        except BaseException:
            shutil.rmtree(self._home)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._home)

    @property
    def maps(self) -> set[str]:
        """The names of the pinned maps, the kernel's own for data sections among them."""
        return {pinned.name for pinned in self._home.iterdir()} - {self._programs.name}

    def run(self, frame: bytes) -> Run:
        """One frame through the program (BPF_PROG_TEST_RUN)."""
        with tempfile.TemporaryDirectory() as folder:
            given, got = Path(folder, "in"), Path(folder, "out")
            given.write_bytes(frame)
            answer = bpftool("-j", "prog", "run", "pinned", str(self.pin), "data_in", str(given), "data_out", str(got))
            return Run(VERDICTS[json.loads(answer)["retval"]], got.read_bytes() if got.exists() else b"")

    def update(self, name: str, key: bytes, value: bytes) -> None:
        """Put an entry into a map."""
        bpftool(
            "map", "update", "pinned", str(self._home / name), "key", "hex", *_hex(key), "value", "hex", *_hex(value)
        )

    def dump(self, name: str) -> list[tuple[bytes, bytes]]:
        """All entries; the values of a per-CPU map stand one behind the other."""
        entries = json.loads(bpftool("-j", "map", "dump", "pinned", str(self._home / name)))
        return [
            (_bytes(entry["key"]), b"".join(map(_bytes, (v["value"] for v in entry["values"]))))
            if "values" in entry
            else (_bytes(entry["key"]), _bytes(entry["value"]))
            for entry in entries
        ]


def _hex(data: bytes) -> Sequence[str]:
    return [f"{byte:02x}" for byte in data]


def _bytes(words: Sequence[str]) -> bytes:
    return bytes(int(word, 16) for word in words)
