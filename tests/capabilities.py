"""What tests need of the machine beyond Python: each need has a name, and a probe that proves its lack.

    @requires("bpf", "bpftool")          a mark, for a test, a class, a module (`pytestmark`) or a parameter
    require("recordings")                inside of a test or a fixture
    require(Capability("an empty program at iter/task", probe))        what only this test knows to ask

A probe does what a test would do, in small, and first whatever would make it possible (it mounts what can be mounted):
so a skip says what the machine refused, and not what somebody guessed. There is no other way to skip: tests/skips.py
makes each a failure where CI runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from hooks.errors import HookError
from hooks.linux.landlock import NETWORK_ABI, SCOPE_ABI
from hooks.running_kernel import KERNEL_BTF
from hooks.sandbox.landlock import landlock_version
from hooks.seccomp.filter import Watch, build_filter
from hooks.seccomp.launch import launch
from tests.bpffs import BPFFS, mount_bpffs
from tests.captures import SHARED
from tests.cgroup2 import hierarchy
from tests.kernel_bpf import KernelRefused, loaded_in_kernel
from tests.kernel_tcx import lack_of_tcx

PASS = bytes.fromhex("b700000002000000 9500000000000000")  # r0 = 2; exit
PACKAGES = frozenset(Path(__file__).parents[1].joinpath("packages.txt").read_text().split())


@dataclass(frozen=True, slots=True)
class Capability:
    """A need. `lack` gives the evidence that it is not met, None if it is. `installed`: `make install` brings it."""

    name: str
    lack: Callable[[], str | None]
    installed: bool = False


class Lacking(pytest.skip.Exception):
    """A skip with its proof."""

    __module__ = "builtins"  # pytest prints the name, and this stands before every reason

    def __init__(self, capability: Capability, evidence: str) -> None:
        super().__init__(f"{capability.name}: {evidence}", _use_item_location=True)
        self.capability = capability


def requires(*names: str) -> pytest.MarkDecorator:
    """A mark: the test is skipped where one of these is lacking."""
    assert names
    assert CAPABILITIES.keys() >= set(names), f"no such capability: {set(names) - CAPABILITIES.keys()}"
    return pytest.mark.requires(*names)


def require(*needs: str | Capability) -> None:
    """Skip the test that runs if one of these is lacking. Raises Lacking."""
    for need in needs:
        capability = CAPABILITIES[need] if isinstance(need, str) else need
        evidence = _proved(need) if isinstance(need, str) else capability.lack()
        if evidence is not None:
            raise Lacking(capability, evidence)


@cache
def _proved(name: str) -> str | None:
    """A machine is asked once in a run."""
    return CAPABILITIES[name].lack()


def _root() -> str | None:
    return None if os.geteuid() == 0 else f"this process runs as user {os.geteuid()}"


def _bpf() -> str | None:
    try:
        with loaded_in_kernel(PASS):
            return None
    except KernelRefused as refused:
        return f"the kernel refuses `return XDP_PASS`: {refused}"


def _bpffs() -> str | None:
    mount_bpffs()
    return None if os.path.ismount(BPFFS) else f"no file system is mounted at {BPFFS}, and none can be"


def _cgroup2() -> str | None:
    return None if hierarchy() else "no cgroup2 hierarchy can be written to, and none can be mounted"


def _types() -> str | None:
    return None if KERNEL_BTF.exists() else f"the kernel has no {KERNEL_BTF}"


def _recordings() -> str | None:
    return None if any(SHARED.rglob("*.pcap*")) else f"there are none in {SHARED.resolve()}"


def _clang_14() -> str | None:
    if lack := _no_program("clang"):
        return lack
    said = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]
    return None if "14.0.6" in said else f"other versions write other bytes, and this is {said}"


def _no_program(name: str) -> str | None:
    return None if shutil.which(name) else f"there is no {name} in PATH"


def _program(name: str, package: str | None = None) -> Capability:
    """A program; `package` brings it if it is not called like that itself."""
    return Capability(name, lambda: _no_program(name), installed=(package or name) in PACKAGES)


def _nftables() -> str | None:
    if lack := _no_program("nft"):
        return lack
    table = 'table netdev tidegate_probe { chain c { type filter hook ingress device "lo" priority 0; fwd to "lo"; }; }'
    done = subprocess.run(["nft", "--check", table], capture_output=True, text=True, check=False)
    return f"`nft --check` says: {done.stderr.strip()}" if done.returncode else None


def _listeners() -> str | None:
    """Two probes in one: the kernel has them, and this process may start what they watch."""
    try:
        launched = launch(["true"], build_filter([Watch("bind")]))
    except HookError as refused:
        return str(refused)
    launched.listener.close()
    os.waitpid(launched.process, 0)
    return None


def _landlock(wanted: int) -> str | None:
    version = landlock_version()
    return None if version >= wanted else f"the kernel's Landlock is of version {version}, and {wanted} is needed"


CAPABILITIES: dict[str, Capability] = {
    capability.name: capability
    for capability in (
        Capability("root", _root),
        Capability("bpf", _bpf),
        Capability("tcx", lack_of_tcx),
        Capability("bpffs", _bpffs),
        Capability("cgroup2", _cgroup2),
        Capability("the kernel's types", _types),
        Capability("recordings", _recordings),
        Capability("clang 14.0.6", _clang_14),
        _program("bpftool"),
        _program("clang"),
        _program("curl"),
        _program("nginx"),
        _program("llvm-strip-14"),
        _program("nft", "nftables"),
        _program("xdp-filter", "xdp-tools"),
        Capability("nftables at ingress", _nftables),
        Capability("seccomp's listeners", _listeners),
        Capability("Landlock", lambda: _landlock(1)),
        Capability("Landlock for TCP", lambda: _landlock(NETWORK_ABI)),
        Capability("Landlock for signals", lambda: _landlock(SCOPE_ABI)),
    )
}
