"""Every level of frames with tunnels, as the compiled parser reads them, against another reader in plain Python."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest

from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.rules.code.parser.cursor import PARSE_ERRORS
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS, Matcher
from appliance.rules.tunnels import MOST_DEPTH, Tunnel, Tunnels
from appliance.rules.values import AddressKind, NumberKind, TruthKind
from appliance.rules.walk import Dissected
from appliance.rules.walk.conditions import has_layer
from tests.frame_reader import KINDS, Read, read_frame
from tests.fuzz.nested_frames import nested_frame, shortened

INNER = (
    *("eth.src", "eth.dst", "eth.type", "vlan.id", "ip.version", "ip.src", "ip.dst", "ip.proto", "ip.ttl", "ip.len"),
    *("ip.fragment", "ip.frag_offset", "ip.flags.mf", "ah.spi", "ah.sequence"),
    *("tcp.sport", "tcp.dport", "tcp.flags", "udp.sport", "udp.dport", "udp.length"),
    *("icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code"),
)
OF_TUNNELS = (
    *("tunnel.depth", "tunnel.more", "gre.key", "vxlan.vni", "geneve.vni", "gtp.teid", "mpls.label"),
    "pppoe.session_id",
)
COMPARED = {name: MATCHERS[name] for name in (*INNER, *OF_TUNNELS)} | {
    f"outer.{name}": OUTER_MATCHERS[f"outer.{name}"] for name in INNER
}
FRAMES = 1500


@cache
def random_frames() -> tuple[bytes, ...]:
    chance = random.Random(1)
    return tuple(nested_frame(chance) for _ in range(FRAMES))


def test_all_kinds_are_known() -> None:
    assert set(KINDS) == {kind.value for kind in Tunnel}


@pytest.fixture(scope="module", params=[0, 1, MOST_DEPTH], ids=lambda depth: f"depth {depth}")
def reading(request: pytest.FixtureRequest) -> Iterator[tuple[int, Dissection]]:
    tunnels = Tunnels(request.param, frozenset(Tunnel)) if request.param else None
    with Dissection((), tunnels) as dissection:
        yield request.param, dissection


def test_random_frames(reading: tuple[int, Dissection]) -> None:
    depth, dissection = reading
    reads = compared(random_frames(), depth, dissection)
    if depth == MOST_DEPTH:
        assert {name for read in reads for name in read.fields} == COMPARED.keys()
        depths = Counter(read.fields["tunnel.depth"] for read in reads)
        assert all(depths[number] > FRAMES / 50 for number in range(depth + 1))
        assert all("tunnel.more" in read.fields for read in reads if read.fields["tunnel.depth"] > depth)


def test_frames_cut_at_every_byte(reading: tuple[int, Dissection]) -> None:
    depth, dissection = reading
    chance = random.Random(7)
    frames = [nested_frame(chance, 2) for _ in range(60)]
    reads = compared([frame[:end] for frame in frames for end in range(len(frame))], depth, dissection)
    assert {read.malformed for read in reads} >= {"ethernet_truncated", "vlan_truncated", "ipv4_total_length"}


def test_packets_that_end_at_every_byte(reading: tuple[int, Dissection]) -> None:
    """The outermost packet says that it ends there, as a whole one and as a first fragment."""
    depth, dissection = reading
    reads = compared(shortened_frames(), depth, dissection)
    if depth == MOST_DEPTH:
        reasons = {read.malformed for read in reads}
        assert reasons >= {reason for reason in PARSE_ERRORS if reason.endswith("truncated")} - OF_LINKS


OF_LINKS = {"vlan_truncated", "mpls_truncated", "pppoe_truncated"}  # of which a cut frame has less


@cache
def shortened_frames() -> list[bytes]:
    chance, found = random.Random(7), []
    while len(found) < 8000:
        frame = nested_frame(chance, 2)
        if 34 < len(frame) < 200 and frame[12:15] == b"\x08\x00\x45":
            flags = chance.choice((b"\0\0", b"\x20\0"))
            packet = frame[14:20] + flags + frame[22:]
            found += [frame[:14] + shortened(packet, number) for number in range(len(packet))]
    return found


def compared(frames: Sequence[bytes], depth: int, dissection: Dissection) -> list[Read]:
    """What the reader says of these frames, if the parser says the same."""
    reads = [read_frame(frame, depth, KINDS if depth else ()) for frame in frames]
    with Capture.of(frames, "nested") as capture:
        for frame, read, dissected in zip(frames, reads, dissection.frames(capture), strict=True):
            assert dissected.malformed == read.malformed, frame.hex()
            assert dissected.is_addressed == read.is_addressed, frame.hex()
            if not read.malformed:
                assert _fields(dissected, outer=depth > 0) == _expected(read, outer=depth > 0), frame.hex()
    return reads


def _expected(read: Read, *, outer: bool) -> dict[str, Any]:
    found = {"tunnel.more": False, **read.fields}
    return {name: value for name, value in found.items() if outer or not name.startswith("outer.")}


def _fields(frame: Dissected, *, outer: bool) -> dict[str, Any]:
    """The fields that a frame has, by the names of the language."""
    return {
        name: _value(matcher, frame)
        for name, matcher in COMPARED.items()
        if (outer or not name.startswith("outer.")) and has_layer(frame, matcher.layer)
    }


def _value(matcher: Matcher, frame: Dissected) -> Any:
    if isinstance(matcher.kind, AddressKind):
        version = frame["outer.version" if matcher.name.startswith("outer.") else "version"]
        address = frame.address(matcher.fields[0])
        return ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address)
    if isinstance(matcher.kind, TruthKind):
        return bool(frame[matcher.fields[0]])
    if len(matcher.fields) > 1:
        assert isinstance(matcher.kind, NumberKind)
        return tuple(frame[field] for field in matcher.fields if frame[field] <= matcher.kind.maximum)
    return frame[matcher.fields[0]]
