"""What a field is called here that there isn't by the name that somebody wrote."""

from __future__ import annotations

import difflib

from appliance.rules.layers import OUTER
from appliance.rules.matchers import MATCHERS

# What others call these fields: Wireshark, nftables and bpfilter, in this order.
_ELSEWHERE = {
    "ip.addr": "ip.src` or `ip.dst",
    "ip.hop_limit": "ip.ttl",
    "ipv6.hlim": "ip.ttl",
    "ipv6.nxt": "ip.proto",
    "tcp.srcport": "tcp.sport",
    "tcp.dstport": "tcp.dport",
    "tcp.seq": "tcp.seq_raw",
    "tcp.ack": "tcp.ack_raw",
    "udp.srcport": "udp.sport",
    "udp.dstport": "udp.dport",
    "sctp.srcport": "sctp.sport",
    "sctp.dstport": "sctp.dport",
    "ip.dscp": "ip.dsfield.dscp",
    "ip.ecn": "ip.dsfield.ecn",
    "ip.tos": "ip.dsfield.dscp` or `ip.dsfield.ecn",
    "ipv6.tclass": "ip.dsfield.dscp` or `ip.dsfield.ecn",
    "ip6.dscp": "ip.dsfield.dscp",
    "ip6.ecn": "ip.dsfield.ecn",
    "ip6.flowlabel": "ipv6.flow",
    "ip.saddr": "ip.src",
    "ip.daddr": "ip.dst",
    "ip.protocol": "ip.proto",
    "ether.saddr": "eth.src",
    "ether.daddr": "eth.dst",
    "arp.operation": "arp.opcode",
    "tcp.sequence": "tcp.seq_raw",
    "tcp.ackseq": "tcp.ack_raw",
    "tcp.doff": "tcp.hdr_len",
    "tcp.urgptr": "tcp.urgent_pointer",
    "sctp.vtag": "sctp.verification_tag",
    "ip6.saddr": "ipv6.src",
    "ip6.daddr": "ipv6.dst",
    "ip6.hoplimit": "ip.ttl",
    "ip6.nexthdr": "ip.proto",
    "ip4.saddr": "ip.src",
    "ip4.daddr": "ip.dst",
    "ip4.proto": "ip.proto",
}
_NEAR = 0.8  # how alike a slip of the fingers is, by difflib's ratio; a word for something else is less so


def which_field(name: str) -> str:
    """A hint for a field that there isn't: what it is called here, or a near name and what its header has."""
    if name in _ELSEWHERE:
        return f"it is `{_ELSEWHERE[name]}` here"
    if name.startswith(OUTER):
        inner = name.removeprefix(OUTER)
        is_there = inner in MATCHERS
        return f"it has no `{OUTER}`: write {inner}" if is_there else f"{which_field(inner)}; with `{OUTER}` in front"
    header, _, rest = name.partition(".")
    siblings = [field for known, _, field in map(_parted, MATCHERS) if known == header]
    if not siblings:
        near = difflib.get_close_matches(name, MATCHERS, n=1, cutoff=_NEAR)
        headers = ", ".join(dict.fromkeys(known for known, _, _ in map(_parted, MATCHERS)))
        return f"did you mean {near[0]!r}?" if near else f"there are fields of: {headers}"
    near = difflib.get_close_matches(rest, siblings, n=1, cutoff=_NEAR)
    question = f"did you mean '{header}.{near[0]}'? " if near else ""
    return f"{question}fields of {header} are: {', '.join(f'{header}.{field}' for field in siblings)}"


def _parted(name: str) -> tuple[str, str, str]:
    return name.partition(".")
