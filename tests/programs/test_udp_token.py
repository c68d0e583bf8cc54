"""udp_token: who is unknown must answer a challenge, and nobody is made to send more than he got."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.programs.stages import ENGINES, Engine, Judge, assert_sums_are_right, compiled

PORT = 27015
RULES = f"""\
stages:
  - {{id: token, object: udp_token.bc, program: udp_token, MODE
     constants: {{udp_token_port: {PORT}, udp_token_seconds: 60}}}}
"""


@pytest.fixture(params=ENGINES)
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Judge]:
    with request.param(compiled(tmp_path, RULES.replace("MODE", ""))) as loaded:
        yield loaded


def _frame(network: Packet, payload: bytes, port: int = PORT) -> bytes:
    return bytes(
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / network / UDP(sport=4000, dport=port) / payload
    )


def _ends(family: int, last: int = 1) -> Packet:
    return (
        IP(src=f"192.0.2.{last}", dst="198.51.100.9")
        if family == 4
        else IPv6(src=f"2001:db8::{last}", dst="2001:db8::9")
    )


def _token(answer: bytes) -> bytes:
    """Out of a challenge, of which everything is as it must be."""
    seen = Ether(answer)
    network = seen[IP] if IP in seen else seen[IPv6]
    assert (seen.src, seen.dst) == ("02:00:00:00:00:02", "02:00:00:00:00:01")
    assert (network.src, network.dst) in (("198.51.100.9", "192.0.2.1"), ("2001:db8::9", "2001:db8::1"))
    assert (seen[UDP].sport, seen[UDP].dport) == (PORT, 4000)
    payload = bytes(seen[Raw])
    assert payload[:8] == b"TGCH" + bytes(4)
    assert len(payload) == 16
    assert_sums_are_right(answer)
    return payload[8:]


@pytest.mark.parametrize("family", [4, 6])
def test_who_answers_is_let_through(judge: Judge, family: int) -> None:
    hello = _frame(_ends(family), b"hello, is there a game?")
    asked = judge.run(hello)
    assert asked.verdict == "tx"
    assert len(asked.frame) < len(hello)
    answered = judge.run(_frame(_ends(family), b"TGOK" + bytes(4) + _token(asked.frame)))
    assert answered.verdict == "drop"
    assert judge.run(hello).verdict == "pass"
    assert judge.run(_frame(_ends(family, 2), b"hello, is there a game?")).verdict == "tx", "another one is unknown"


def test_a_token_is_good_for_its_source_alone(judge: Judge) -> None:
    token = _token(judge.run(_frame(_ends(4), b"hello, is there a game?")).frame)
    for ends, said in ((_ends(4, 2), token), (_ends(4), bytes(8)), (_ends(4), bytes(7) + b"\x01")):
        judge.run(_frame(ends, b"TGOK" + bytes(4) + said))
        assert judge.run(_frame(ends, b"hello, is there a game?")).verdict == "tx"


def test_what_is_too_short_to_be_answered_is_dropped(judge: Judge) -> None:
    for size in range(16):
        assert judge.run(_frame(_ends(4), bytes(size))).verdict == "drop"
    assert judge.run(_frame(_ends(4), bytes(16))).verdict == "tx"


def test_others_pass(judge: Judge) -> None:
    assert judge.run(_frame(_ends(4), b"hello, is there a game?", port=PORT + 1)).verdict == "pass"


@pytest.mark.parametrize("engine", ENGINES)
def test_in_monitor_mode_the_frame_passes_as_it_is(engine: Engine, tmp_path: Path) -> None:
    with engine(compiled(tmp_path, RULES.replace("MODE", "mode: monitor,"))) as judge:
        hello = _frame(_ends(4), b"hello, is there a game?")
        seen = judge.run(hello)
        assert (seen.verdict, seen.frame) == ("pass", hello)
