"""The stages that ship, in a running box: clients with the kernel's sockets, which check what comes back."""

from __future__ import annotations

import socket

from scapy.layers.dns import DNS, DNSQR

from tests.appliance.box.conftest import Start
from tests.netns import Topology, run_inside

TOKEN = """\
rules: []
stages:
  - id: token
    object: udp_token.bc
    program: udp_token
    constants: {udp_token_port: 27015, udp_token_seconds: 60}
"""
TRUNCATE = """\
rules: []
stages: [{id: dns, object: dns_truncate.bc, program: dns_truncate, constants: {dns_truncate_above: 0}}]
"""
HELLO = b"hello, is there a game?"


def _socket(port: int = 0) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(5)
    opened.bind(("", port))
    return opened


def test_a_client_that_answers_its_challenge_reaches_the_server(net: Topology, start: Start) -> None:
    box = start(TOKEN)
    with run_inside(net.inside, lambda: _socket(27015)) as server, run_inside(net.outside, _socket) as client:
        client.sendto(HELLO, ("10.0.0.2", 27015))
        challenge, who = client.recvfrom(2048)
        assert who == ("10.0.0.2", 27015)
        assert challenge[:8] == b"TGCH" + bytes(4)
        client.sendto(b"TGOK" + challenge[4:], who)
        client.sendto(HELLO, who)
        said, peer = server.recvfrom(2048)
        assert said == HELLO, "what the client said before it was known reached the server"
        server.sendto(b"yes", peer)
        assert client.recvfrom(2048)[0] == b"yes"
    counts = box.metrics()
    assert counts['tidegate_rule_packets_total{action="tx",mode="enforce",rule="token.tx"}'] == 1
    assert counts['tidegate_rule_packets_total{action="drop",mode="enforce",rule="token.drop"}'] == 1


def test_a_resolver_is_sent_to_tcp(net: Topology, start: Start) -> None:
    start(TRUNCATE)
    with run_inside(net.outside, _socket) as client:
        client.sendto(bytes(DNS(id=7, rd=1, qd=DNSQR(qname="a.example"))), ("10.0.0.2", 53))
        answer = DNS(client.recvfrom(2048)[0])
    assert (answer.id, answer.qr, answer.tc, answer.qd[0].qname) == (7, 1, 1, b"a.example.")
