"""The programs of a rule set, here and in the kernel, with the bytes that leave: for stages that change frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from appliance.api import open_object
from appliance.rules import compile_rule_set, load_rule_set
from tests.capabilities import requires
from tests.programs.kernel import KernelProgram, Run


def assert_sums_are_right(frame: bytes) -> None:
    """Lengths and checksums of a UDP datagram are those that scapy would write."""
    seen = Ether(frame)
    network = seen[IP] if IP in seen else seen[IPv6]
    for layer, names in ((network, ("len", "chksum", "plen")), (seen[UDP], ("len", "chksum"))):
        for name in names:
            if name in layer.fields:
                layer.delfieldval(name)
    assert bytes(seen) == frame


class Judge(Protocol):
    """The program for frames from outside."""

    def run(self, frame: bytes) -> Run: ...


Engine = Callable[[Path], AbstractContextManager[Judge]]


class _Native:
    def __init__(self, path: Path) -> None:
        self._loaded = open_object(path).load()

    def run(self, frame: bytes) -> Run:
        done = self._loaded.programs["tidegate_in"].test_run(frame)
        return Run(str(done.verdict.value), done.data_out)

    def close(self) -> None:
        self._loaded.close()


def compiled(folder: Path, text: str) -> Path:
    """The object of a rule set."""
    rules, target = folder / "rules.yaml", folder / "rules.o"
    rules.write_text(text)
    target.write_bytes(compile_rule_set(load_rule_set(rules)).object)
    return target


@contextmanager
def native(path: Path) -> Iterator[Judge]:
    loaded = _Native(path)
    try:
        yield loaded
    finally:
        loaded.close()


@contextmanager
def kernel(path: Path) -> Iterator[Judge]:
    with KernelProgram(path, "tidegate_in") as loaded:
        yield loaded


ENGINES = [
    pytest.param(native, id="native"),
    pytest.param(kernel, id="kernel", marks=requires("root", "bpf", "bpffs", "bpftool")),
]
