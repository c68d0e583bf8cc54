"""syn_proxy: what becomes of every segment of a proxied connection, byte for byte, in every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet

from appliance.rules import compile_rule_set, load_rule_set
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.integration.engines import ENGINES, InterpretedRules, NativeRules

PROXY, RESET, BUSY, WATCHED, BARE = 80, 81, 82, 83, 84
RULES = f"""\
syn_proxy: {{idle: 10m, closing: 1m, window_scale: 7}}
rules:
  - {{id: proxy, match: {{tcp.dport: {PROXY}}}, action: syn-proxy}}
  - {{id: reset, match: {{tcp.dport: {RESET}}}, action: syn-proxy, syn_proxy: {{mode: reset}}}}
  - {{id: busy, match: {{tcp.dport: {BUSY}}}, action: syn-proxy, rate: {{pps: 0.001, burst: 2, per: ip.dst/24}}}}
  - {{id: watched, match: {{tcp.dport: {WATCHED}}}, action: syn-proxy, mode: monitor}}
  - {{id: bare, match: {{tcp.dport: {BARE}}}, action: syn-proxy, syn_proxy: {{mss: 1400, timestamps: false}}}}
"""
MINUTE = 60 * 10**9
BEGIN = 1_700_000_000 * 10**9
CLIENT, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:02"
OPTIONS = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (1000, 0)), ("NOP", None), ("WScale", 9)]
FIRST, ISN = 5000, 0xFFFFFF00  # initial numbers of the client and the server: the latter is about to wrap


@dataclass
class Line:
    """A rule set between a client outside and a server inside; `now` is the time of our own engines."""

    rules: NativeRules | InterpretedRules | KernelRules
    now: int = BEGIN

    def own_time(self) -> tuple[int, ...]:
        return () if isinstance(self.rules, KernelRules) else (self.now,)

    def pass_on(self, frame: Packet, way: str) -> tuple[str, Packet]:
        """The verdict, and the frame behind the program, whose sums and lengths are right."""
        verdict = self.rules.run(bytes(frame), way, *self.own_time())
        assert_sums_are_right(self.rules.out)
        return verdict, Ether(self.rules.out)


def assert_sums_are_right(frame: bytes) -> None:
    seen = Ether(frame)
    sums = ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum", "dataofs")))
    for layer, names in (*sums, (ICMP, ("chksum",)), (ICMPv6PacketTooBig, ("cksum",))):
        if layer in seen:
            for name in names:
                seen[layer].delfieldval(name)
    assert bytes(seen) == frame


@dataclass
class Ends:
    """A connection by its ends."""

    line: Line
    family: int
    port: int
    to: int = PROXY
    tags: int = 0

    def frame(self, way: str, **fields: Any) -> Packet:
        data = fields.pop("data", b"")
        ethernet = Ether(src=CLIENT, dst=SERVER) if way == "in" else Ether(src=SERVER, dst=CLIENT)
        for tag in range(self.tags):
            ethernet /= Dot1Q(vlan=tag + 1)
        addresses = ("192.0.2.1", "198.51.100.9") if self.family == 4 else ("2001:db8::1", "2001:db8::9")
        ports = self.port, self.to
        if way == "out":
            addresses, ports = addresses[::-1], ports[::-1]
        kind = IP(ttl=50) if self.family == 4 else IPv6(hlim=50)
        kind.src, kind.dst = addresses
        return ethernet / kind / TCP(sport=ports[0], dport=ports[1], **fields) / data

    def client(self, **fields: Any) -> tuple[str, Packet]:
        return self.line.pass_on(self.frame("in", **fields), "in")

    def server(self, **fields: Any) -> tuple[str, Packet]:
        return self.line.pass_on(self.frame("out", **fields), "out")

    def ask(self, options: list[Any] | None = None, **fields: Any) -> Packet:
        """A SYN, and the box's answer to it."""
        verdict, answer = self.client(flags="S", seq=FIRST, options=OPTIONS if options is None else options, **fields)
        assert verdict == "tx"
        assert (answer.src, answer.dst) == (SERVER, CLIENT)
        network, segment = answer[IP if self.family == 4 else IPv6], answer[TCP]
        assert network.src in ("198.51.100.9", "2001:db8::9")
        assert (network.ttl if self.family == 4 else network.hlim) == 64
        assert (segment.sport, segment.dport, segment.flags) == (self.to, self.port, "SA")
        return answer

    def open(self, answer: list[Any] | None = None) -> int:
        """A connection that the server has accepted; the number that the client was told."""
        told = self.ask()
        stamp = dict(told[TCP].options)["Timestamp"][0]
        cookie = told[TCP].seq
        given = [("NOP", None), ("NOP", None), ("Timestamp", (1010, stamp))]
        assert (
            self.client(flags="A", seq=FIRST + 1, ack=cookie + 1 & 0xFFFFFFFF, window=500, options=given)[0] == "pass"
        )
        options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (stamp + 70, 1010)), ("NOP", None), ("WScale", 9)]
        chosen = options if answer is None else answer
        assert self.server(flags="SA", seq=ISN, ack=FIRST + 1, window=65160, options=chosen)[0] == "pass"
        return int(cookie)


@pytest.fixture(scope="module", params=[*ENGINES, pytest.param("kernel", marks=needs_kernel)])
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.yaml").write_text(RULES)
    compiled = compile_rule_set(load_rule_set(folder / "rules.yaml"))
    with ExitStack() as stack:
        if request.param == "kernel":
            yield Line(stack.enter_context(KernelRules(compiled, folder)))
        else:
            yield Line(stack.enter_context(ENGINES[request.param](compiled)))


_ports = iter(range(10000, 65536))


@pytest.fixture(params=[4, 6])
def ends(request: pytest.FixtureRequest, line: Line) -> Ends:
    return Ends(line, request.param, next(_ports))


# a kernel's clock can't be set
in_our_time = pytest.mark.parametrize("line", ENGINES, indirect=True, scope="module")


@pytest.mark.parametrize("tags", [0, 2])
def test_a_handshake(ends: Ends, tags: int) -> None:
    ends.tags = tags
    told = ends.ask()[TCP]
    stamp = dict(told.options)["Timestamp"][0]
    assert told.ack == FIRST + 1
    assert told.window == 0
    mss = 1460 if ends.family == 4 else 1440
    wanted = [("MSS", mss), ("SAckOK", b""), ("Timestamp", (stamp, 1000)), ("NOP", None), ("WScale", 7)]
    assert told.options == wanted
    assert stamp & 63 == 0x10 | 9

    given = [("NOP", None), ("NOP", None), ("Timestamp", (1010, stamp))]
    verdict, asked = ends.client(
        flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF, window=100, options=given, data=b"GET /"
    )
    assert verdict == "pass"
    cookie_mss = 1300 if ends.family == 4 else 1220
    options = [("MSS", cookie_mss), ("SAckOK", b""), ("Timestamp", (1010, 0)), ("NOP", None), ("WScale", 9)]
    assert bytes(asked) == bytes(ends.frame("in", flags="S", seq=FIRST, window=100 << 9, options=options))

    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (77, 1010)), ("NOP", None), ("WScale", 9)]
    verdict, opened = ends.server(flags="SA", seq=ISN, ack=FIRST + 1, window=65160, options=options)
    assert verdict == "pass"
    options = [("NOP", None), ("WScale", 7), ("NOP", None), ("NOP", None), ("Timestamp", (stamp, 1010))]
    numbers = {"seq": told.seq, "ack": FIRST + 1, "window": 65160 >> 7}
    assert bytes(opened) == bytes(ends.frame("out", flags="A", **numbers, options=options, data=b"\0"))


@pytest.mark.parametrize("flags", ["S", "SEC", "SECN"])
def test_no_ecn_is_agreed_upon(ends: Ends, flags: str) -> None:
    """By neither end (RFC 3168 section 6.1.1, RFC 9768), whatever the client's IP header says already."""

    def marked(**fields: Any) -> Packet:
        frame = ends.frame("in", **fields)
        if ends.family == 4:
            frame[IP].tos = 0xB8 | 2  # EF, ECT(0)
        else:
            frame[IPv6].tc = 0xB8 | 2
        return frame

    def service(frame: Packet) -> int:
        return int(frame[IP].tos if ends.family == 4 else frame[IPv6].tc)

    verdict, told = ends.line.pass_on(marked(flags=flags, seq=FIRST, options=OPTIONS), "in")
    assert (verdict, told[TCP].flags, service(told)) == ("tx", "SA", 0xB8)
    acknowledged = {"seq": FIRST + 1, "ack": told[TCP].seq + 1 & 0xFFFFFFFF}
    verdict, asked = ends.line.pass_on(marked(flags="A", **acknowledged), "in")
    assert (verdict, asked[TCP].flags, service(asked)) == ("pass", "S", 0xB8)


def test_a_client_without_options(ends: Ends) -> None:
    told = ends.ask(options=[])[TCP]
    assert told.options == [("MSS", 1460 if ends.family == 4 else 1440)]
    verdict, asked = ends.client(flags="PA", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF, window=1000, data=b"early")
    assert verdict == "pass"
    options = [("MSS", 536 if ends.family == 4 else 1220)]
    assert bytes(asked) == bytes(ends.frame("in", flags="S", seq=FIRST, window=1000, options=options))
    verdict, opened = ends.server(flags="SA", seq=ISN, ack=FIRST + 1, window=300, options=[("MSS", 1460)])
    numbers = {"seq": told.seq, "ack": FIRST + 1, "window": 300}
    assert bytes(opened) == bytes(ends.frame("out", flags="A", **numbers, data=b"\0"))


@pytest.mark.parametrize("mss", [1, 536, 1299, 1300, 1439, 1440, 1459, 1460, 9000, 65535])
def test_the_segment_size_rides_in_the_cookie(ends: Ends, mss: int) -> None:
    told = ends.ask(options=[("MSS", mss)])[TCP]
    _, asked = ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    sizes = (536, 1300, 1440, 1460) if ends.family == 4 else (1220, 1420, 1440, 8940)
    assert dict(asked[TCP].options)["MSS"] == max([size for size in sizes if size <= mss], default=sizes[0])


STAMPED = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 15)]


@in_our_time
@pytest.mark.parametrize("usual", [STAMPED, STAMPED[:1]], ids=["stamped", "size alone"])
def test_options_mean_the_same_in_any_order(ends: Ends, usual: list[Any]) -> None:
    """The usual order is read as words, every other one option by option."""
    turned = [("NOP", None), ("NOP", None), *usual[::-1]]
    told, again = (ends.ask(options)[TCP] for options in (usual, turned))
    assert (told.seq, told.options) == (again.seq, again.options)
    assert dict(told.options).get("WScale") == (7 if usual is STAMPED else None)


def test_what_the_server_has_switched_off_is_said(line: Line) -> None:
    told = Ends(line, 4, next(_ports), BARE).ask()[TCP]
    assert told.options == [("MSS", 1400)]


@pytest.mark.parametrize("wrong", [{"ack": 5}, {"ack": -5}, {"seq": 5}, {"seq": -5}, {"port": 1}, {"to": 1}])
def test_a_wrong_cookie_is_no_business_of_the_proxy(ends: Ends, wrong: dict[str, int]) -> None:
    """Wrong by more than there are sizes of segments: each of them is another right cookie."""
    told = ends.ask()[TCP]
    ends.port += wrong.get("port", 0) * 20000
    ends.to += wrong.get("to", 0)
    numbers = {"seq": FIRST + 1 + wrong.get("seq", 0), "ack": told.seq + 1 + wrong.get("ack", 0) & 0xFFFFFFFF}
    verdict, passed = ends.client(flags="A", **numbers)
    assert verdict == "pass"
    assert passed[TCP].flags == "A"


@in_our_time
def test_a_cookie_ends_after_two_minutes(ends: Ends) -> None:
    told = ends.ask()[TCP]
    ends.line.now += 121 * 10**9
    verdict, passed = ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    assert (verdict, passed[TCP].flags) == ("pass", "A")
    told = ends.ask()[TCP]
    ends.line.now += 59 * 10**9
    assert ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)[1][TCP].flags == "S"


LAYOUTS = {
    "stamps": [("NOP", None), ("NOP", None), ("Timestamp", "stamps")],
    "odd-stamps": [("NOP", None), ("Timestamp", "stamps"), ("NOP", None)],
    "sack": [("NOP", None), ("NOP", None), ("Timestamp", "stamps"), ("NOP", None), ("NOP", None), ("SAck", "blocks")],
    "odd-sack": [("Timestamp", "stamps"), ("NOP", None), ("SAck", "blocks"), ("NOP", None)],
    "nothing": [],
}


def laid_out(layout: str, stamps: tuple[int, int], blocks: tuple[int, ...]) -> list[Any]:
    values = {"stamps": stamps, "blocks": blocks}
    return [(name, values.get(value, value) if isinstance(value, str) else value) for name, value in LAYOUTS[layout]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_segments_are_translated(ends: Ends, layout: str) -> None:
    cookie = ends.open()
    blocks = tuple(cookie + each & 0xFFFFFFFF for each in range(1000, 1006))
    stamp = 5_000_000  # of the client's view; the server's clock is 70 ahead of what the cookie says
    given = laid_out(layout, (1020, stamp), blocks)
    fields = {"flags": "PA", "seq": FIRST + 1, "window": 321, "urgptr": 3, "data": b"odd"}
    verdict, passed = ends.client(ack=cookie + 11 & 0xFFFFFFFF, options=given, **fields)
    delta = cookie - ISN
    theirs = laid_out(layout, (1020, stamp + 70), tuple(block - delta & 0xFFFFFFFF for block in blocks))
    assert verdict == "pass"
    assert bytes(passed) == bytes(ends.frame("in", ack=ISN + 11 & 0xFFFFFFFF, options=theirs, **fields))

    fields = {"flags": "PA", "ack": FIRST + 4, "data": b"an answer", "reserved": 1}
    own = laid_out(layout, (stamp + 70, 1020), (FIRST, FIRST + 2))
    verdict, passed = ends.server(seq=ISN + 200 & 0xFFFFFFFF, window=20, options=own, **fields)
    theirs = laid_out(layout, (stamp, 1020), (FIRST, FIRST + 2))
    assert verdict == "pass"
    told = {"seq": cookie + 200 & 0xFFFFFFFF, "window": 20 << 9 >> 7}
    assert bytes(passed) == bytes(ends.frame("out", options=theirs, **told, **fields))


def test_windows_of_a_server_that_scales_nothing(ends: Ends) -> None:
    cookie = ends.open([("MSS", 1460)])
    assert ends.client(flags="A", seq=FIRST + 1, ack=cookie + 1 & 0xFFFFFFFF, window=100)[1][TCP].window == 100 << 9
    assert ends.client(flags="A", seq=FIRST + 1, ack=cookie + 1 & 0xFFFFFFFF, window=1000)[1][TCP].window == 65535
    assert ends.server(flags="A", seq=ISN + 1, ack=FIRST + 1, window=1280)[1][TCP].window == 10


def too_big(ends: Ends, way: str, quoted: Packet, size: int) -> Packet:
    """What a router says of a packet that it can't forward: `size` bytes of TCP are quoted."""
    ethernet, network = ends.frame(way)[Ether].copy(), IP if ends.family == 4 else IPv6
    ethernet.remove_payload()
    packet = bytes(quoted[network])[: (20 if ends.family == 4 else 40) + size]
    if ends.family == 4:
        return ethernet / IP(src="203.0.113.1", dst=quoted[IP].src) / ICMP(type=3, code=4, nexthopmtu=1300) / packet
    return ethernet / IPv6(src="2001:db8:1::1", dst=quoted[IPv6].src) / ICMPv6PacketTooBig(mtu=1300) / packet


@pytest.mark.parametrize("size", [8, 12, 60])
def test_errors_about_a_proxied_connection_are_translated(ends: Ends, size: int) -> None:
    """A router in front of the box quotes what the server sent, one behind it what the client did: each is told by the
    numbers that it knows. Routers quote 8 bytes of TCP at least."""
    cookie = ends.open()
    delta = cookie - ISN
    known = {"flags": "A", "ack": FIRST + 1, "data": bytes(1400)}
    theirs = ends.frame("out", seq=cookie + 1 & 0xFFFFFFFF, **known)
    own = ends.frame("out", seq=cookie + 1 - delta & 0xFFFFFFFF, **known)
    own[TCP].chksum = Ether(bytes(theirs))[TCP].chksum  # of what is quoted nobody looks at it
    verdict, passed = ends.line.pass_on(too_big(ends, "in", theirs, size), "in")
    assert verdict == "pass"
    assert bytes(passed) == bytes(too_big(ends, "in", own, size))

    known = {"flags": "A", "seq": FIRST + 1, "data": bytes(1400)}
    theirs = ends.frame("in", ack=ISN + 1 & 0xFFFFFFFF, **known)
    own = ends.frame("in", ack=cookie + 1 & 0xFFFFFFFF, **known)
    own[TCP].chksum = Ether(bytes(theirs))[TCP].chksum
    verdict, passed = ends.line.pass_on(too_big(ends, "out", theirs, size), "out")
    assert verdict == "pass"
    assert bytes(passed) == bytes(too_big(ends, "out", own if size > 8 else theirs, size))


def test_errors_about_other_connections_are_left_alone(ends: Ends) -> None:
    ends.open()
    stranger = Ends(ends.line, ends.family, next(_ports))
    for way, against in (("in", "out"), ("out", "in")):
        error = too_big(ends, way, stranger.frame(against, flags="A", seq=7, ack=9), 20)
        verdict, passed = ends.line.pass_on(error, way)
        assert verdict == "pass"
        assert bytes(passed) == bytes(error)


def test_resets_are_translated(ends: Ends) -> None:
    cookie = ends.open()
    assert ends.client(flags="R", seq=FIRST + 1)[1][TCP].seq == FIRST + 1
    assert ends.server(flags="R", seq=ISN + 1)[1][TCP].seq == cookie + 1 & 0xFFFFFFFF
    ends.port = next(_ports)
    cookie = ends.open()
    passed = ends.server(flags="RA", seq=ISN + 1, ack=FIRST + 1)[1][TCP]
    assert (passed.seq, passed.ack) == (cookie + 1 & 0xFFFFFFFF, FIRST + 1)


def test_a_server_that_refuses(ends: Ends) -> None:
    told = ends.ask()[TCP]
    ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    assert ends.server(flags="R", seq=0)[0] == "drop", "of nothing that was asked"
    verdict, passed = ends.server(flags="RA", seq=0, ack=FIRST + 1)
    assert verdict == "pass"
    assert bytes(passed) == bytes(ends.frame("out", flags="RA", seq=told.seq + 1 & 0xFFFFFFFF, ack=FIRST + 1, window=0))


def test_a_server_with_an_older_connection_is_told(ends: Ends) -> None:
    """It acknowledges what it has of that; a client would reset it, and ask again."""
    told = ends.ask()[TCP]
    ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    verdict, answer = ends.server(flags="A", seq=ISN, ack=777)
    assert verdict == "tx"
    assert (answer.src, answer[TCP].flags, answer[TCP].seq) == (CLIENT, "R", 777)
    assert ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)[1][TCP].flags == "S"


def test_a_client_that_gives_up_before_the_server_answers(ends: Ends) -> None:
    told = ends.ask()[TCP]
    ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    assert ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 9 & 0xFFFFFFFF)[0] == "drop"
    assert ends.client(flags="R", seq=FIRST + 9)[0] == "drop"
    verdict, passed = ends.client(flags="RA", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    assert verdict == "pass"
    assert bytes(passed) == bytes(ends.frame("in", flags="R", seq=FIRST + 1, window=0))


AGAIN = {
    "ack": {"flags": "A", "seq": FIRST + 1},
    "probe": {"flags": "A", "seq": FIRST},  # of a window that is shut, by RFC 9293 section 3.8.6.1; or a keep-alive
    "data": {"flags": "PA", "seq": FIRST + 1, "data": b"a byte that has no room"},
    "behind": {"flags": "PA", "seq": FIRST + 1461, "data": b"what comes behind that"},
    "fin": {"flags": "FA", "seq": FIRST + 1},
}


@pytest.mark.parametrize("said", AGAIN)
def test_what_is_lost_is_said_again(ends: Ends, said: str) -> None:
    """Whatever the client says to a server that hasn't answered asks it again, as the client asked first."""
    told = ends.ask()[TCP]
    stamp = dict(told.options)["Timestamp"][0]
    given = [("NOP", None), ("NOP", None), ("Timestamp", (1010, stamp))]
    acknowledged = {"ack": told.seq + 1 & 0xFFFFFFFF, "window": 100, "options": given}
    _, asked = ends.client(flags="A", seq=FIRST + 1, **acknowledged)
    verdict, again = ends.client(**AGAIN[said], **acknowledged)
    assert verdict == "pass"
    assert bytes(again) == bytes(asked)
    for _ in range(2):
        opened = ends.server(flags="SA", seq=ISN, ack=FIRST + 1, options=[("MSS", 1460)])[1][TCP]
        assert (opened.flags, opened.seq) == ("A", told.seq)


def test_a_refusal_that_is_lost_is_said_again(ends: Ends) -> None:
    told = ends.ask()[TCP]
    acknowledged = {"flags": "A", "ack": told.seq + 1 & 0xFFFFFFFF}
    ends.client(seq=FIRST + 1, **acknowledged)
    for _ in range(2):
        refused = ends.server(flags="RA", seq=0, ack=FIRST + 1)[1][TCP]
        assert (refused.flags, refused.seq) == ("RA", told.seq + 1 & 0xFFFFFFFF)
        assert ends.client(seq=FIRST, **acknowledged)[1][TCP].flags == "S"


@pytest.mark.parametrize("flags", ["SA", "RA"])
def test_a_server_that_was_asked_without_us_behind_a_refusal(ends: Ends, flags: str) -> None:
    """The next SYN from that port came below a rate, say: its answer is of no flow."""
    told = ends.ask()[TCP]
    ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)
    ends.server(flags="RA", seq=0, ack=FIRST + 1)
    ends.client(flags="S", seq=FIRST + 200, options=OPTIONS)
    verdict, passed = ends.server(flags=flags, seq=99, ack=FIRST + 201)
    assert (verdict, passed[TCP].seq, passed[TCP].flags) == ("pass", 99, flags)
    assert ends.server(flags="A", seq=100, ack=FIRST + 201)[1][TCP].seq == 100, "the flow is forgotten"


def test_a_port_that_is_used_again(ends: Ends) -> None:
    """A SYN behind the end of a flow, answered by a cookie, or by the server itself."""
    cookie = ends.open()
    numbers = {"seq": FIRST + 1, "ack": cookie + 1 & 0xFFFFFFFF}
    assert ends.client(flags="A", **numbers)[1][TCP].flags == "A", "of the flow, though it is a right cookie"
    verdict, answer = ends.client(flags="S", seq=FIRST + 100, options=OPTIONS)
    assert verdict == "tx"
    fresh = {"seq": FIRST + 101, "ack": answer[TCP].seq + 1 & 0xFFFFFFFF}
    assert ends.client(flags="A", **fresh)[1][TCP].flags == "S"
    ends.port = next(_ports)
    ends.open()
    verdict, passed = ends.server(flags="SA", seq=99, ack=FIRST + 201)
    assert (verdict, passed[TCP].seq, passed[TCP].flags) == ("pass", 99, "SA")
    assert ends.server(flags="A", seq=100, ack=FIRST + 201)[1][TCP].seq == 100, "the flow is forgotten"


@in_our_time
@pytest.mark.parametrize(("flags", "kept"), [("A", 600), ("FA", 60), ("R", 60)])
def test_when_flows_are_forgotten(ends: Ends, flags: str, kept: int) -> None:
    cookie = ends.open()
    ends.client(flags=flags, seq=FIRST + 1, ack=cookie + 1 & 0xFFFFFFFF)
    ends.server(flags=flags, seq=ISN + 1, ack=FIRST + 1)
    ends.line.now += kept * 10**9 - 1
    assert ends.server(flags="A", seq=ISN + 2, ack=FIRST + 2)[1][TCP].seq == cookie + 2 & 0xFFFFFFFF
    ends.line.now += kept * 10**9 + 1
    assert ends.server(flags="A", seq=ISN + 2, ack=FIRST + 2)[1][TCP].seq == ISN + 2


def test_a_reset_proves_a_client(line: Line) -> None:
    ends = Ends(line, 4, next(_ports), RESET)
    verdict, answer = ends.client(flags="S", seq=FIRST, options=OPTIONS)
    told = answer[TCP]
    assert verdict == "tx"
    assert told.ack != FIRST + 1
    assert (told.flags, told.options) == ("SA", [])
    assert ends.client(flags="R", seq=told.ack + 5 & 0xFFFFFFFF)[0] == "pass", "none of ours"
    assert ends.client(flags="S", seq=FIRST)[0] == "tx"
    assert ends.client(flags="R", seq=told.ack)[0] == "drop"
    verdict, passed = ends.client(flags="S", seq=FIRST, options=OPTIONS)
    assert verdict == "pass"
    assert bytes(passed) == bytes(ends.frame("in", flags="S", seq=FIRST, options=OPTIONS))
    assert Ends(line, 6, next(_ports), RESET).client(flags="S", seq=FIRST)[0] == "tx", "another client is unknown"


def test_what_exceeds_the_rate_is_answered(line: Line) -> None:
    asked = [Ends(line, 4, next(_ports), BUSY).client(flags="S", seq=FIRST)[0] for _ in range(4)]
    assert asked == ["pass", "pass", "tx", "tx"]


def test_monitored_syns_are_counted_and_left_alone(line: Line) -> None:
    before = line.rules.packets()["watched"]
    ends = Ends(line, 4, next(_ports), WATCHED)
    verdict, passed = ends.client(flags="S", seq=FIRST, options=OPTIONS)
    assert verdict == "pass"
    assert bytes(passed) == bytes(ends.frame("in", flags="S", seq=FIRST, options=OPTIONS))
    assert line.rules.packets()["watched"] == before + 1


def test_other_segments_are_none_of_its_business(ends: Ends) -> None:
    before = ends.line.rules.packets()["proxy"]
    for flags in ("A", "SA", "R", "FA", "PA", "SF", "SR", ""):
        assert ends.client(flags=flags, seq=FIRST)[0] == "pass"
    assert ends.line.rules.packets()["proxy"] == before


def test_fragments_are_dropped(line: Line) -> None:
    ends = Ends(line, 4, next(_ports))
    frame = ends.frame("in", flags="S", seq=FIRST)
    frame[IP].flags = "MF"
    assert line.pass_on(frame, "in")[0] == "drop"


def test_what_lies_in_tunnels_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("tunnels: {depth: 1, kinds: [ip, pppoe]}\n" + RULES)
    with NativeRules(compile_rule_set(load_rule_set(tmp_path / "rules.yaml"))) as rules:
        ends = Ends(Line(rules), 4, next(_ports))
        inner = bytes(ends.frame("in", flags="S", seq=FIRST)[IP])
        for outer in (IP(src="203.0.113.1", dst="203.0.113.2", proto=4), PPPoE(sessionid=1) / PPP(proto=0x21)):
            assert rules.run(bytes(Ether(src=CLIENT, dst=SERVER) / outer / inner), "in", BEGIN) == "drop"
        assert ends.client(flags="S", seq=FIRST)[0] == "tx"


@in_our_time
def test_a_minute_that_begins_meanwhile_changes_no_size(ends: Ends) -> None:
    told = ends.ask(options=[("MSS", 1445)])[TCP]
    ends.line.now += MINUTE
    asked = ends.client(flags="A", seq=FIRST + 1, ack=told.seq + 1 & 0xFFFFFFFF)[1][TCP]
    assert dict(asked.options)["MSS"] == 1440
