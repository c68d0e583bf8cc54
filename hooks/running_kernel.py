"""What the running kernel says of itself to programs that were built to ask: its version, configuration and symbols.

Sources: uname(2); /boot/config-RELEASE or /proc/config.gz, one `CONFIG_NAME=value` to a line (a comment says what is
not set); /proc/kallsyms, whose addresses are 0 to those who may not know them (kptr_restrict).
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
_SUBLEVEL_LIMIT = 255  # KERNEL_VERSION of include/linux/version.h has 8 bits for it


class RunningKernel:
    """Each answer is read when it is first asked for; what can't be read is empty. Any thread."""

    @cached_property
    def version(self) -> tuple[int, int, int]:
        """Version, patch level and sublevel. Debian tells them apart from its release."""
        told = os.uname()
        found = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", told.version) or re.match(
            r"(\d+)\.(\d+)\.?(\d*)", told.release
        )
        numbers = found.groups() if found is not None else ()
        version, level, sublevel = (int(number or 0) for number in (*numbers, 0, 0, 0)[:3])
        return version, level, sublevel

    @property
    def version_code(self) -> int:
        """The version as LINUX_VERSION_CODE has it."""
        version, level, sublevel = self.version
        return version << 16 | level << 8 | min(sublevel, _SUBLEVEL_LIMIT)

    @cached_property
    def configuration(self) -> Mapping[str, str]:
        """What is set, by the name with CONFIG_ in front: y, m, n, a number, or a string in quotes."""
        return dict(line.split("=", 1) for line in _configuration() if line.startswith("CONFIG_") and "=" in line)

    def btf(self) -> bytes:
        """Its types, in the format that it has for them. Raises OSError."""
        return KERNEL_BTF.read_bytes()

    @cached_property
    def symbols(self) -> Mapping[str, int]:
        """The first address of each name."""
        found: dict[str, int] = {}
        for line in _lines_of("/proc/kallsyms"):
            address, _, name = line.split("\t")[0].split(" ", 2)
            found.setdefault(name, int(address, 16))
        return found


class KeptKernel(RunningKernel):
    """The same, all read when it is made, for a process that will be able to read no file. Any thread.

    Of the symbols it tells none: they are addresses in the kernel, which no such process needs to know."""

    def __init__(self) -> None:
        self.version, self.configuration  # noqa: B018  (reading them keeps them)
        self.symbols = {}
        self._btf: bytes | OSError
        try:
            self._btf = super().btf()
        except OSError as error:
            self._btf = error

    def btf(self) -> bytes:
        if isinstance(self._btf, OSError):
            raise self._btf
        return self._btf


def _configuration() -> Iterator[str]:
    found = list(_lines_of(f"/boot/config-{os.uname().release}"))
    if found:
        return iter(found)
    try:
        return iter(gzip.decompress(Path("/proc/config.gz").read_bytes()).decode(errors="replace").splitlines())
    except OSError:
        return iter(())


def _lines_of(path: str) -> Iterator[str]:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            yield from (line.rstrip("\n") for line in file)
    except OSError:
        return
