"""A list of blocked sources for every VLAN, in the kernel and compiled here: lists come and go while frames do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from appliance.ebpf.map_types import MapType
from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from appliance.maps import Map, MapOfMaps, open_map
from tests.appliance.jit.support import Frame, run_loaded, run_loops
from tests.programs.kernel import VERDICTS, KernelProgram, bpftool, needs_kernel

OBJECT = Path(__file__).parents[2] / "programs" / "xdp_tenants.bpf.o"
BAD, GOOD = "192.0.2.66", "192.0.2.1"
SOURCE = bytes([192, 0, 2, 66])


def frame(source: str, vlan: int | None = None) -> bytes:
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    tag: Packet = ethernet / Dot1Q(vlan=vlan) if vlan is not None else ethernet
    return bytes(tag / IP(src=source, dst="192.0.2.2") / UDP())


class Gate(Protocol):
    """The program, in one engine."""

    def judge(self, data: bytes) -> str: ...
    def block(self, tenant: int) -> None:
        """Give the tenant a new list with BAD in it."""

    def forget(self, tenant: int) -> None:
        """Take its list away."""

    def dropped(self, tenant: int) -> int:
        """How many frames from BAD the tenant's list has dropped."""


def key(tenant: int) -> bytes:
    return tenant.to_bytes(4, "little")


class NativeGate:
    def __init__(self, opened: ExitStack) -> None:
        self._loaded = opened.enter_context(Collection.load(load_object_file(OBJECT), loops=run_loops))
        outer = self._loaded.maps["tenants"]
        assert isinstance(outer, MapOfMaps)
        self.tenants = outer
        self._loaded.maps["untagged"].update(SOURCE, bytes(8))

    def judge(self, data: bytes) -> str:
        held = Frame(data)
        return VERDICTS[run_loaded(self._loaded, "xdp_tenants", held.context)]

    def block(self, tenant: int) -> None:
        with open_map(self.tenants.inner) as blocked:
            blocked.update(SOURCE, bytes(8))
            self.tenants[key(tenant)] = blocked

    def forget(self, tenant: int) -> None:
        del self.tenants[key(tenant)]

    def dropped(self, tenant: int) -> int:
        return _number(self.tenants[key(tenant)])


def _number(blocked: Map) -> int:
    value = blocked.lookup(SOURCE)
    assert value is not None
    return int.from_bytes(value, "little")


class KernelGate:
    def __init__(self, opened: ExitStack) -> None:
        self._program = opened.enter_context(KernelProgram(OBJECT))
        self._home = self._program.pin.parent
        self._program.update("untagged", SOURCE, bytes(8))

    def judge(self, data: bytes) -> str:
        return self._program.run(data).verdict

    def block(self, tenant: int) -> None:
        name = self._name(tenant)
        (self._home / name).unlink(missing_ok=True)
        bpftool(
            *("map", "create", str(self._home / name), "type", "hash"),
            *("key", "4", "value", "8", "entries", "1024", "name", name),
        )
        self._program.update(name, SOURCE, bytes(8))
        self._outer("update", tenant, "value", "pinned", str(self._home / name))

    def forget(self, tenant: int) -> None:
        self._outer("delete", tenant)

    def dropped(self, tenant: int) -> int:
        return int.from_bytes(dict(self._program.dump(self._name(tenant)))[SOURCE], "little")

    def _outer(self, operation: str, tenant: int, *more: str) -> None:
        words = [f"{byte:02x}" for byte in key(tenant)]
        bpftool("map", operation, "pinned", str(self._home / "tenants"), "key", "hex", *words, *more)

    def _name(self, tenant: int) -> str:
        return f"list{tenant}" if tenant else "untagged"


@pytest.fixture(
    params=[pytest.param(KernelGate, id="kernel", marks=needs_kernel), pytest.param(NativeGate, id="native")]
)
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with ExitStack() as opened:
        yield request.param(opened)


def test_the_declaration() -> None:
    maps = load_object_file(OBJECT).maps
    inner = MapSpec("tenants.inner", MapType.HASH, 4, 8, 1024)
    assert maps["tenants"] == MapSpec(
        "tenants", MapType.HASH_OF_MAPS, 4, 4, 4096, values=((0, "untagged"),), inner=inner
    )


def test_a_tenant_has_the_list_that_the_object_gives_it(gate: Gate) -> None:
    assert [gate.judge(frame(source)) for source in (BAD, GOOD, BAD)] == ["drop", "pass", "drop"]
    assert gate.dropped(0) == 2
    assert gate.judge(frame(BAD, vlan=7)) == "pass"
    assert gate.judge(bytes(Ether(dst="02:00:00:00:00:02") / IPv6())) == "pass"
    assert gate.judge(frame(BAD)[:30]) == "pass"


def test_lists_come_and_go(gate: Gate) -> None:
    gate.block(7)
    assert [gate.judge(frame(BAD, vlan)) for vlan in (7, 8, 7, None)] == ["drop", "pass", "drop", "drop"]
    assert (gate.dropped(7), gate.dropped(0)) == (2, 1)
    gate.block(7)
    assert gate.dropped(7) == 0
    assert gate.judge(frame(BAD, 7)) == "drop"
    gate.forget(7)
    assert gate.judge(frame(BAD, 7)) == "pass"
