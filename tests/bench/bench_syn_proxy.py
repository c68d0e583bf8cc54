"""The SYN proxy: what a frame costs more where it stands than where it doesn't, by replays of the same captures.

Of a thousand connections each: segments of proxied ones, both ways; segments of others; SYNs, each answered.
"""

from __future__ import annotations

import statistics
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from appliance.box.filter_spec import FilterSpec
from appliance.box.offline_replay import NativeReplay
from appliance.cli.inside import read_networks
from appliance.datapath.captures import Capture
from appliance.datapath.captures.capture import FRAME
from appliance.datapath.captures.directions import tell_directions
from appliance.rules import compile_rule_set, load_rule_set
from tests.bench.classbench import PCAP_NANOSECONDS
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate
from tests.integration.engines import NativeRules

CONNECTIONS, FRAMES, ROUNDS = 1_000, 200_000, 15
MOST_MORE = 60  # nanoseconds a frame
CLIENTS, SERVERS = "198.18.0.1", "203.0.113.9"
FIRST, ISN, STAMP = 1000, 2000, 3000
RULE = "rules: [{id: syn, match: {tcp.flags: {all: [syn], not: [ack]}, tcp.dport: 80}, direction: in, action: %s}]\n"
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (STAMP, 0)), ("NOP", None), ("WScale", 7)]


def main(bench: Bench) -> Iterator[Figure]:
    rules = {"with": bench.folder / "proxy.yaml", "without": bench.folder / "bare.yaml"}
    rules["with"].write_text(RULE % "syn-proxy")
    rules["without"].write_text(RULE % "drop")
    with ExitStack() as stack:
        replays = {who: stack.enter_context(_loaded(path)) for who, path in rules.items()}
        for name, path in _captures(bench.folder, rules["with"]).items():
            yield _measured(name, path, replays)


def _measured(name: str, path: Path, replays: Mapping[str, NativeReplay]) -> Figure:
    with Capture(path) as capture:
        tell_directions(capture, read_networks((f"{SERVERS}/32",)))
        frames = len(capture.table) // FRAME.size
        before = _opened(replays)
        costs = alternate(
            ROUNDS, {who: lambda r=each: 1e9 * r.replay(capture).seconds / frames for who, each in replays.items()}
        )
        opened = (_opened(replays) - before) // ROUNDS
    path.unlink()
    return Figure(
        name=f"{name}, a frame",
        value=statistics.median(costs["with"]),
        unit="ns",
        peer="without a SYN proxy",
        peer_value=statistics.median(costs["without"]),
        target=Target(Compared.DIFFERENCE, at_most=MOST_MORE),
        remark=f"{opened:,} connections opened by cookies",
        samples=costs,
    )


def _loaded(rules: Path) -> NativeReplay:
    compiled = compile_rule_set(load_rule_set(rules))
    return NativeReplay(FilterSpec.of_rules(compiled, rules.name), two_ways=True)


def _opened(replays: Mapping[str, NativeReplay]) -> int:
    """What was dropped because it came before the server's answer: one segment of each connection."""
    return replays["with"].rule_counts()["syn-proxy.drop"].packets


def _captures(folder: Path, rules: Path) -> dict[str, Path]:
    handshakes, segments, syns, others = [], [], [], []
    with NativeRules(compile_rule_set(load_rule_set(rules))) as engine:
        for port in range(20_000, 20_000 + CONNECTIONS):
            syn = _sent(port, flags="S", seq=FIRST, options=OPTIONS)
            assert engine.run(syn) == "tx"
            told = Ether(engine.out)[TCP]
            syns.append(syn)
            handshakes += _handshake(port, told)
            segments += _segments(port, told.seq, dict(told.options)["Timestamp"][0])
            others += _segments(port + 20_000, ISN, STAMP)
    return {
        "segments of proxied connections": _write(folder / "proxied.pcap", handshakes, segments),
        "segments of others": _write(folder / "others.pcap", (), others),
        "SYNs": _write(folder / "syns.pcap", (), syns),
    }


def _sent(port: int, *, data: bytes = b"", **fields: Any) -> bytes:
    return bytes(_ethernet() / IP(src=CLIENTS, dst=SERVERS) / TCP(sport=port, dport=80, **fields) / data)


def _answered(port: int, *, data: bytes = b"", **fields: Any) -> bytes:
    return bytes(_ethernet() / IP(src=SERVERS, dst=CLIENTS) / TCP(sport=80, dport=port, **fields) / data)


def _ethernet() -> Packet:
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def _stamped(mine: int, theirs: int) -> list[Any]:
    return [("NOP", None), ("NOP", None), ("Timestamp", (mine, theirs))]


def _handshake(port: int, told: TCP) -> list[bytes]:
    """The FIN comes too early and is dropped, if and only if the cookie was right."""
    stamp = dict(told.options)["Timestamp"][0]
    numbers = {"seq": FIRST + 1, "ack": told.seq + 1 & 0xFFFFFFFF, "options": _stamped(STAMP, stamp)}
    return [
        _sent(port, flags="S", seq=FIRST, options=OPTIONS),
        _sent(port, flags="A", **numbers),
        _sent(port, flags="FA", **numbers),
        _answered(port, flags="SA", seq=ISN, ack=FIRST + 1, options=OPTIONS),
    ]


def _segments(port: int, cookie: int, stamp: int) -> list[bytes]:
    return [
        _sent(port, flags="A", seq=FIRST + 1, ack=cookie + 1 & 0xFFFFFFFF, options=_stamped(STAMP, stamp)),
        _answered(port, flags="A", seq=ISN + 1, ack=FIRST + 1, options=_stamped(STAMP, STAMP), data=bytes(100)),
    ]


def _write(path: Path, head: Iterable[bytes], frames: Sequence[bytes]) -> Path:
    """The head, and the frames over and over, at the moment that a test run begins."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 0xFFFF, 1))
        file.write(_records(head))
        again = _records(frames)
        for _ in range(FRAMES // len(frames)):
            file.write(again)
    return path


def _records(frames: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<IIII", 100, 0, len(frame), len(frame)) + frame for frame in frames)
