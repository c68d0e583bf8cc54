"""The recorded attacks of the shared captures, and which frames are the attack: there was more on those lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.box.offline_replay import NativeReplay
from appliance.datapath.captures import Capture
from appliance.datapath.replay import VERDICTS
from hooks.contracts.contract import Verdict

IsAttack = Callable[[bytes], bool]

TCP, UDP, ICMP = 6, 17, 1
DNS = 53
LATER = 0x1FFF  # the offset of a fragment


def _protocol(frame: bytes) -> int | None:
    """IPv4's protocol; None of anything else."""
    return frame[23] if frame[12:14] == b"\x08\x00" else None


def _ipv4(frame: bytes) -> bool:
    return _protocol(frame) is not None


def _without_datagrams(frame: bytes) -> bool:
    """Servers' answers, and errors about what they were asked. The target's own users had a VPN and a call."""
    return _protocol(frame) in (TCP, ICMP)


def _dns(frame: bytes) -> bool:
    """Answers by DNS, and fragments of them. The target had connections of its own, and was scanned."""
    if _protocol(frame) != UDP:
        return False
    if int.from_bytes(frame[20:22], "big") & LATER:
        return True
    at = 14 + 4 * (frame[14] & 15)
    return int.from_bytes(frame[at : at + 2], "big") == DNS


RECORDED_ATTACKS: Mapping[str, IsAttack] = {
    "pkt.TCP.synflood.spoofed.pcap": _ipv4,
    "amp.TCP.reflection.SYNACK.pcap": _without_datagrams,
    "amp.UDP.isakmp.pcap": _ipv4,
    "amp.dns.RRSIG.fragmented.pcap": _dns,
}


def share_of_the_attack(replay: NativeReplay, path: Path, is_attack: IsAttack) -> tuple[float, int]:
    """How much of the attack fell, and how many frames it has."""
    with Capture(path) as capture:
        sequence = replay.replay(capture).sequence
        records = zip(capture.records(), sequence, strict=True)
        verdicts = [VERDICTS[verdict] for record, verdict in records if is_attack(capture.frame(record))]
    return verdicts.count(Verdict.DROP) / len(verdicts), len(verdicts)
