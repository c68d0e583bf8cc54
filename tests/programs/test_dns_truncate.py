"""dns_truncate: beyond its rate a question is answered by "truncated", so that who asked comes by TCP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRROPT
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from tests.programs.stages import ENGINES, Engine, Judge, assert_sums_are_right, compiled

RULES = """\
stages: [{id: dns, object: dns_truncate.bc, program: dns_truncate, constants: {dns_truncate_above: ABOVE}}]
"""


@pytest.fixture(params=ENGINES)
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Judge]:
    with request.param(compiled(tmp_path, RULES.replace("ABOVE", "0"))) as loaded:
        yield loaded


ENDS_4, ENDS_6 = IP(src="192.0.2.1", dst="198.51.100.9"), IPv6(src="2001:db8::1", dst="2001:db8::9")


def _question(dns: DNS, network: Packet = ENDS_4, tag: bool = False) -> bytes:
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return bytes((ethernet / Dot1Q(vlan=5) if tag else ethernet) / network / UDP(sport=4000, dport=53) / dns)


@pytest.mark.parametrize(
    "network", [IP(src="192.0.2.1", dst="198.51.100.9"), IPv6(src="2001:db8::1", dst="2001:db8::9")]
)
@pytest.mark.parametrize("name", ["a.example", "long-label-" * 5 + ".example", "x." * 60 + "example", "."])
@pytest.mark.parametrize("tag", [False, True])
def test_a_question_comes_back_truncated(judge: Judge, network: Packet, name: str, tag: bool) -> None:
    asked = DNS(id=7, rd=1, qd=DNSQR(qname=name, qtype="AAAA"), ar=DNSRROPT(rclass=1232))
    question = _question(asked, network, tag)
    answer = judge.run(question)
    assert answer.verdict == "tx"
    assert len(answer.frame) < len(question), "the option for larger answers is left out"
    seen = Ether(answer.frame)
    dns = seen[DNS]
    assert (dns.id, dns.qr, dns.tc, dns.rd, dns.ancount, dns.arcount, dns.rcode) == (7, 1, 1, 1, 0, 0, 0)
    assert (seen[UDP].sport, seen[UDP].dport) == (53, 4000)
    ends = seen[IP] if IP in seen else seen[IPv6]
    assert (ends.src, ends.dst) == (network.dst, network.src)
    assert (seen.src, seen.dst) == ("02:00:00:00:00:02", "02:00:00:00:00:01")
    assert dns.qd[0].qname == asked.qd[0].qname
    assert_sums_are_right(answer.frame)


@pytest.mark.parametrize(
    "payload",
    [
        bytes(DNS(qr=1, qd=DNSQR(qname="a.example"))),
        bytes(DNS(opcode=4, qd=DNSQR(qname="a.example"))),
        bytes(DNS(qd=DNSQR(qname="a.example")))[:-1],
        bytes(DNS())[:12],
        b"short",
        bytes(DNS())[:4] + b"\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1",
        bytes(DNS())[:4] + b"\0\1" + bytes(6) + b"\x3fx" * 200,
    ],
    ids=["a response", "not a query", "cut", "no question", "too short", "a pointer", "a name without end"],
)
def test_what_is_no_question_is_dropped(judge: Judge, payload: bytes) -> None:
    frame = Ether() / ENDS_4 / UDP(sport=4000, dport=53) / payload
    assert judge.run(bytes(frame)).verdict == "drop"


@pytest.mark.parametrize("engine", ENGINES)
def test_below_the_rate_questions_pass(engine: Engine, tmp_path: Path) -> None:
    with engine(compiled(tmp_path, RULES.replace("ABOVE", "100000"))) as judge:
        question = _question(DNS(qd=DNSQR(qname="a.example")))
        seen = judge.run(question)
        assert (seen.verdict, seen.frame) == ("pass", question)
