"""Cases for the verifier: short programs in assembly, each with what is to be said of it.

A case is a YAML mapping: `name`, `code`, and for a bad program `rejects` (the exact demand), `slot` and `steps`
(those that lead there; `steps.py` writes them). `kernel` gives the reason if the Linux kernel decides otherwise. `hook`
and `platform` are `xdp` and `linux` if not given; `in_kernel` is for programs of a hook that runs here which only a
kernel can run. All cases share EVERY_MAP.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.kernel.groups import numbering
from hooks.contracts.contract import HookPoint
from hooks.contracts.xdp import XDP_LINUX
from tests.yaml_files import load

CASES = Path(__file__).parents[2] / "cases" / "verifier"

RODATA = bytes(range(1, 17))
TEXTS = b"%d of %s\0from %pI4\0%q\0no end".ljust(32, b"!")  # at 0, 9, 19, 22
MAPS: dict[str, MapSpec] = {
    spec.name: spec
    for spec in (
        MapSpec("counters", MapType.ARRAY, 4, 8, 4),
        MapSpec("flows", MapType.HASH, 8, 16, 64),
        MapSpec("networks", MapType.LPM_TRIE, 8, 4, 64, flags=1),
        MapSpec("globals", MapType.ARRAY, 4, 16, 1),
        MapSpec("constants", MapType.ARRAY, 4, 16, 1, flags=1 << 7, contents=((bytes(4), RODATA),), read_only=True),
        MapSpec("texts", MapType.ARRAY, 4, 32, 1, flags=1 << 7, contents=((bytes(4), TEXTS),), read_only=True),
        MapSpec("jobs", MapType.QUEUE, 0, 16, 4),
        MapSpec("seen", MapType.BLOOM_FILTER, 0, 8, 64),
        MapSpec("sums", MapType.PERCPU_HASH, 8, 8, 64),
        MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 4),
        MapSpec("ports", MapType.DEVMAP, 4, 8, 4),
        MapSpec("processors", MapType.CPUMAP, 4, 8, 2),
        MapSpec("settings", MapType.HASH, 8, 8, 4, flags=1 << 7),
        MapSpec("reports", MapType.HASH, 8, 8, 4, flags=1 << 8),
        MapSpec("tenants", MapType.HASH_OF_MAPS, 4, 4, 16, inner=MapSpec("tenants.inner", MapType.HASH, 8, 16, 64)),
        MapSpec("shards", MapType.ARRAY_OF_MAPS, 4, 4, 4, inner=MapSpec("shards.inner", MapType.ARRAY, 4, 8, 4)),
        MapSpec("events", MapType.RINGBUF, 0, 0, 4096),
        MapSpec("samples", MapType.PERF_EVENT_ARRAY, 4, 4, 4),
        MapSpec("guarded", MapType.HASH, 4, 16, 64, lock=8),
    )
}
# Of kinds that only a kernel has: they are judged, and can't be opened here.
KERNEL_MAPS: dict[str, MapSpec] = {
    spec.name: spec
    for spec in (
        MapSpec("stacks", MapType.STACK_TRACE, 4, 80, 4),
        MapSpec("sockets", MapType.SOCKMAP, 4, 4, 4),
        MapSpec("sockets_by_name", MapType.SOCKHASH, 8, 4, 4),
    )
}
EVERY_MAP = {**MAPS, **KERNEL_MAPS}


@dataclass(frozen=True)
class Case:
    name: str
    code: str
    rejects: str | None = None
    slot: int | None = None
    steps: tuple[str, ...] | None = None
    kernel: str | None = None
    hook: str = "xdp"
    platform: str = "linux"
    in_kernel: bool = False

    def spec(self) -> ProgramSpec:
        platform = PLATFORMS[self.platform]
        hook = platform.hook_for_section(self.hook)
        hook = hook.in_kernel if hook is not None and self.in_kernel else hook
        assert hook is not None
        return program(self.code, self.name, hook)


def program(code: str, name: str = "test", hook: HookPoint = XDP_LINUX) -> ProgramSpec:
    """A program from assembly."""
    return ProgramSpec(name, hook.name, hook, assemble(code, numbering(PLATFORMS[hook.platform], hook)))


def load_file(path: Path) -> list[Case]:
    """The cases of one file."""
    entries = load(path)
    return [Case(**{**entry, "steps": tuple(entry["steps"]) if "steps" in entry else None}) for entry in entries]


def load_cases() -> list[Case]:
    """Every case of every file."""
    return [case for path in sorted(CASES.glob("*.yaml")) for case in load_file(path)]
