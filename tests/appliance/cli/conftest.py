"""`tidegate` called as a function: the command line as a user types it, without the start of a process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from appliance.cli import main
from tests.captures import at_once, pcap

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-c", "from appliance.cli import main; main()"]
MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}
RULES = """\
defaults: {policy: pass}
rules:
  - {id: nine, match: {udp.dport: 9}, action: drop}
  - {id: web, match: {tcp.dport: 80}, action: count}
"""
BOX = "version: 1\ninterfaces: [{outside: eth0, inside: eth1, mode: inline}]\n"
FRAMES = (
    bytes(Ether(**MACS) / IP(src="192.0.2.1") / UDP(dport=9) / b"x"),
    bytes(Ether(**MACS) / IP(src="192.0.2.1") / UDP(dport=10)),
    bytes(Ether(**MACS) / IP(src="192.0.2.1") / TCP(dport=80)),
    bytes(Ether(**MACS) / IP(version=5)),
)


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that standard output must be."""
        return json.loads(self.out)

    def refused(self, status: int = 1) -> str:
        """The message; only a message."""
        assert self.status == status, self
        assert self.out == ""
        assert "Traceback" not in self.err
        return self.err


Tidegate = Callable[..., Said]


@pytest.fixture
def tidegate(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tidegate:
    def call(*arguments: object, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert isinstance(end.value.code, int)
        return Said(end.value.code, *capfd.readouterr())

    return call


def process(*arguments: object, shell: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The true program, as a process of its own; `shell` follows it on the line."""
    line = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "-", *PROGRAM, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, input=stdin, capture_output=True, check=False, timeout=60, env=environment)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box.yaml"
    path.write_text(BOX + RULES)
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """One frame for each rule, one for the policy, and a malformed one."""
    path = tmp_path / "frames.pcap"
    path.write_bytes(pcap(at_once(FRAMES)))
    return path


@pytest.fixture(scope="session")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object with a good program, one that reads beyond the frame, and one that no hook claims."""
    path = tmp_path_factory.mktemp("objects") / "unsafe.bpf.o"
    source = path.with_suffix(".c")
    source.write_text(UNSAFE)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-c", str(source), "-o", str(path)], check=True)
    return path


UNSAFE = """\
struct xdp_md { unsigned data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
#define SEC(name) __attribute__((section(name), used))
SEC("xdp") int good(struct xdp_md *ctx) { return 2; }
SEC("xdp/second") int bad(struct xdp_md *ctx) {
    return *(unsigned char *)(long)ctx->data;
}
SEC("syscall") int foreign(void *ctx) { return 0; }
"""
