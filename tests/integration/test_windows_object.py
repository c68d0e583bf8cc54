"""An object written for eBPF for Windows, in a box: its verdicts are Windows' numbers, where 1 passes and 2 drops."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.appliance.box.conftest import HEAD, RunningBox, net, start
from tests.netns import Topology

__all__ = ["net", "start"]

SOURCE = """\
struct xdp_md_t { unsigned char *data; unsigned char *data_end; unsigned long long data_meta; unsigned ingress; };
__attribute__((section("xdp"), used)) int port_nine(struct xdp_md_t *ctx) {
    unsigned char *data = ctx->data, *end = ctx->data_end;
    if (data + 38 > end)
        return 1;
    return data[36] == 0 && data[37] == 9 ? 2 : 1;
}
"""
MACS = {"dst": "02:00:00:00:00:0b", "src": "02:00:00:00:00:0a"}


def datagram(port: int) -> bytes:
    return bytes(Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=port) / bytes(30))


@pytest.fixture
def windows_object(tmp_path: Path) -> Path:
    source, path = tmp_path / "windows.c", tmp_path / "windows.o"
    source.write_text(SOURCE)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-c", str(source), "-o", str(path)], check=True)
    return path


def test_a_drop_drops_and_what_has_no_program_passes(
    net: Topology, start: Callable[..., RunningBox], windows_object: Path
) -> None:
    box = start(f"program: {{object: {windows_object.name}}}\n", head=HEAD)
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(datagram(9), datagram(10))
        assert far.drain(0.15) == [datagram(10)]
        far.send(datagram(9))
        assert near.drain(0.15) == [datagram(9)]
    assert box.end() == 0
