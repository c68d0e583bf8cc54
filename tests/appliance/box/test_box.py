"""A whole box on real interfaces: what it enforces, what it reports, how it reloads, and how it ends."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether

from tests.appliance.box.conftest import HEAD, TIDEGATE, RunningBox, run_to_its_end
from tests.netns import Topology

Start = Callable[..., RunningBox]

DROP_NINE = "rules:\n  - {id: nine, match: {udp.dport: 9}, action: drop}\n"
MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}


def udp(port: int, *tags: Dot1Q, source: str = "10.0.0.1") -> bytes:
    frame = Ether(**MACS)
    for tag in tags:
        frame /= tag
    return bytes(frame / IP(src=source, dst="10.0.0.2") / UDP(sport=5000, dport=port) / (b"x" * 40))


def arrivals(net: Topology, *frames: bytes) -> list[bytes]:
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(*frames)
        return far.drain(0.15)


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"


def interface_settings(net: Topology) -> list[dict[str, object]]:
    """Everything that a box sets on interfaces, as the kernel tells it."""
    links = json.loads(net.box.run(["ip", "-j", "-d", "link"]).stdout)
    for link in links:
        del link["operstate"]  # follows the carrier, some milliseconds later; nobody sets it
        link["flags"] = sorted(set(link["flags"]) - {"NO-CARRIER", "LOWER_UP"})
    queues = [net.box.run(["tc", "qdisc", "show", "dev", name]).stdout for name in ("outside", "inside")]
    features = [net.box.run(["ethtool", "-k", name]).stdout for name in ("outside", "inside")]
    ipv6 = [net.box.sysctl(f"ipv6/conf/{name}/disable_ipv6") for name in ("outside", "inside")]
    return [{"links": links, "queues": queues, "features": features, "ipv6": ipv6}]


def test_a_rule_drops_and_is_counted(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    wrapped = udp(9, Dot1AD(vlan=5), Dot1Q(vlan=7))
    assert arrivals(net, udp(9), udp(10), wrapped) == [udp(10)]
    assert box.rule("nine") == 2
    assert box.rule("nine", "bytes") == len(udp(9)) + len(wrapped)
    metrics = box.metrics()
    assert metrics['tidegate_interface_packets_total{direction="receive",interface="outside",verdict="drop"}'] == 2
    assert metrics['tidegate_interface_packets_total{direction="transmit",interface="inside",verdict="sent"}'] == 1
    assert box.end() == 0


def test_malformed_frames_are_dropped_and_counted_by_reason(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    cut = udp(10)[:40]
    assert arrivals(net, cut, udp(10)) == [udp(10)]
    assert box.rule("malformed") == 1
    errors = {k: v for k, v in box.metrics().items() if k.startswith("tidegate_parse_errors_total") and v}
    assert len(errors) == 1


def test_the_allowlist_comes_first(net: Topology, start: Start) -> None:
    start("allowlist: [192.0.2.1]\n" + DROP_NINE)
    friend = udp(9, Dot1Q(vlan=3), source="192.0.2.1")
    assert arrivals(net, udp(9), friend) == [friend]


def test_monitor_counts_and_drops_nothing(net: Topology, start: Start) -> None:
    box = start("defaults: {mode: monitor}\n" + DROP_NINE)
    assert arrivals(net, udp(9)) == [udp(9)]
    assert box.rule("nine") == 1


def test_tap_mode_says_so_and_enforces_nothing(net: Topology, start: Start) -> None:
    net.box.add_bridge("bridge0", ["outside", "inside"])
    head = HEAD.replace("{outside: outside, inside: inside, mode: inline}", "{outside: outside, mode: tap}")
    box = start(DROP_NINE, head=head)
    assert "outside (tap: nothing is enforced): serving" in box.log
    assert arrivals(net, udp(9)) == [udp(9)]
    assert box.rule("nine") == 1


def test_the_host_does_not_answer_on_an_inline_interface(net: Topology, start: Start) -> None:
    net.box.add_address("lo", "10.0.0.99/32")
    question = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=MACS["src"]) / ARP(psrc="10.0.0.1", pdst="10.0.0.99"))
    with net.outside.packet_socket() as wire:
        wire.send(question)
        assert wire.receive(1, 0.5), "without a box the kernel answers; else this test proves nothing"
        wire.drain()
    start(DROP_NINE)
    with net.outside.packet_socket() as wire, net.inside.packet_socket() as far:
        wire.send(question)
        assert far.receive(1) == [question]
        assert wire.drain(0.2) == []


def test_everything_is_as_before_when_it_ends(net: Topology, start: Start) -> None:
    net.box.set_up("inside", up=False)
    before = interface_settings(net)
    box = start(DROP_NINE)
    assert interface_settings(net) != before
    assert box.end() == 0
    assert interface_settings(net) == before


def test_reload_changes_rules_and_keeps_counts(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    arrivals(net, udp(9), udp(9))
    box.reload(
        "rules:\n  - {id: ten, match: {udp.dport: 10}, action: drop}\n" + DROP_NINE.removeprefix("rules:\n"), "reloaded"
    )
    assert arrivals(net, udp(9), udp(10), udp(11)) == [udp(11)]
    assert (box.rule("nine"), box.rule("ten")) == (3, 1)
    assert box.metrics()['tidegate_reloads_total{result="success"}'] == 1


def test_reload_keeps_the_state_of_a_rate(net: Topology, start: Start) -> None:
    """The bucket is empty before the reload; were it forgotten, four more frames would pass."""
    rate = "rules:\n  - {id: slow, match: {udp.dport: 9}, rate: {pps: 0.01, burst: 4, per: ip.src}, action: drop}\n"
    box = start(rate)
    assert len(arrivals(net, *[udp(9)] * 6)) == 4
    box.reload(rate + "  - {id: ten, match: {udp.dport: 10}, action: drop}\n", "reloaded")
    assert arrivals(net, *[udp(9)] * 6) == []
    assert box.rule("slow") == 8


def test_a_bad_reload_leaves_the_old_rules_and_says_why(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    box.reload("rules:\n  - {id: nine, match: {udp.dprt: 9}, action: drop}\n", "reload refused")
    assert f"{box.config}:5:" in box.log
    assert "did you mean" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.metrics()['tidegate_reloads_total{result="failure"}'] == 1
    box.reload(DROP_NINE, "reloaded")


def test_a_reload_cannot_change_interfaces(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    box.config.write_text((HEAD + DROP_NINE).replace("inline", "tap").replace("inside: inside, ", ""))
    box.process.send_signal(signal.SIGHUP)
    box.wait_for("reload refused")
    assert "a reload can't change `interfaces`\n  hint: restart the box for that" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]


def test_an_interface_that_vanishes_and_comes_back(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    assert arrivals(net, udp(10)) == [udp(10)]
    net.box.delete_link("inside")
    box.wait_for("an interface is gone; waiting for it")
    assert box.metrics()['tidegate_interface_up{interface="inside"}'] == 0
    net.box.add_veth("inside", net.inside, "eth0", peer_address="02:00:00:00:00:02")
    box.wait_for("outside <-> inside: serving", times=2)
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.rule("nine") == 1
    assert box.end() == 0


def test_an_interface_that_goes_down_and_up(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    net.box.set_up("inside", up=False)
    arrivals(net, udp(10))
    net.box.set_up("inside")
    assert arrivals(net, udp(11))[-1:] == [udp(11)]
    assert box.end() == 0


def test_somebodys_own_object(net: Topology, start: Start) -> None:
    programs = Path(__file__).parents[3] / "programs"
    start("", head=HEAD + f"program: {{object: {programs}/xdp_drop.bpf.o}}\n")
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(udp(10))
        far.send(udp(10))
        assert far.drain(0.15) == []
        assert near.receive(1) == [udp(10)]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (("outside: outside", "outside: eth77"), 2, "eth77: no such interface"),
        (("version: 1", "version: 7"), 1, "box.yaml:1:10:"),
        (("inside: inside, ", ""), 1, "an inline passage needs `inside`"),
        (("127.0.0.1:9478", "127.0.0.1:99999"), 1, "'127.0.0.1:99999' is not an address and a port"),
        (("127.0.0.1:9478", "192.0.2.1:9478"), 2, "metrics can't be served on 192.0.2.1:9478"),
        (("metrics:", "metricks:"), 1, "unknown key 'metricks'"),
    ],
)
def test_a_box_that_cannot_run_says_why_and_touches_nothing(
    net: Topology, tmp_path: Path, change: tuple[str, str], status: int, message: str
) -> None:
    config = tmp_path / "box.yaml"
    config.write_text((HEAD + DROP_NINE).replace(*change))
    before = interface_settings(net)
    ended = run_to_its_end(net, config)
    assert ended.returncode == status
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert interface_settings(net) == before


def test_a_port_in_use(net: Topology, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(HEAD + DROP_NINE)
    with net.box.open_socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 9478))
        taken.listen()
        ended = run_to_its_end(net, config)
    assert ended.returncode == 2
    assert "metrics can't be served on 127.0.0.1:9478: Address already in use" in ended.stderr


def test_an_interface_with_an_address_is_refused(net: Topology, tmp_path: Path) -> None:
    net.box.add_address("outside", "192.0.2.9/24")
    config = tmp_path / "box.yaml"
    config.write_text(HEAD + DROP_NINE)
    before = interface_settings(net)
    ended = run_to_its_end(net, config)
    assert ended.returncode == 2
    assert "192.0.2.9/24" in ended.stderr
    assert interface_settings(net) == before


@pytest.mark.parametrize("missing", ["net_raw", "net_admin"])
def test_without_privilege(net: Topology, tmp_path: Path, missing: str) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(HEAD + DROP_NINE)
    before = interface_settings(net)
    ended = run_to_its_end(net, config, "setpriv", f"--bounding-set=-{missing}")
    assert ended.returncode == 2
    assert f"CAP_{missing.upper()}" in ended.stderr or "root" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert interface_settings(net) == before


def test_super_frames_cross_a_closed_interface_that_cannot_segment(net: Topology, start: Start) -> None:
    """64 kB frames of the sender leave through the queueing discipline, past the filter that closes it to the host."""
    box = start(DROP_NINE)
    net.box.run(["ethtool", "-K", "inside", "tso", "off"])
    payload = bytes(range(256)) * 16384
    with (
        net.inside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        net.outside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as sender,
    ):
        listener.bind((net.inside.ipv4, 5001))
        listener.listen()
        sender.settimeout(10)
        sender.connect((net.inside.ipv4, 5001))
        receiver, _ = listener.accept()
        writer = threading.Thread(target=lambda: (sender.sendall(payload), sender.shutdown(socket.SHUT_WR)))
        writer.start()
        with receiver:
            receiver.settimeout(10)
            received = b"".join(iter(lambda: receiver.recv(1 << 16), b""))
        writer.join()
    assert received == payload
    metrics = box.metrics()
    kind = '{direction="receive",interface="outside",verdict="pass"}'
    assert metrics[f"tidegate_interface_bytes_total{kind}"] / metrics[f"tidegate_interface_packets_total{kind}"] > 2048
    assert sum(v for k, v in metrics.items() if k.startswith("tidegate_transmit_errors_total")) == 0


def test_syn_rate_per_source(net: Topology, start: Start) -> None:
    rule = (
        "rules:\n  - {id: syn, match: {tcp.flags: {eq: [syn]}}, rate: {pps: 1, burst: 5, per: ip.src}, action: drop}\n"
    )
    box = start(rule)

    def syn(source: str, sequence: int) -> bytes:
        return bytes(Ether(**MACS) / IP(src=source, dst="10.0.0.2") / TCP(sport=sequence, dport=80, flags="S"))

    got = arrivals(net, *(syn(f"10.1.0.{host}", n) for host in (1, 2) for n in range(10)))
    by_source = [sum(struct.unpack_from("!I", frame, 26)[0] & 0xFF == host for frame in got) for host in (1, 2)]
    assert by_source == [5, 5]
    assert box.rule("syn") == 10


TWO_PASSAGES = HEAD.replace("mode: inline}]", "mode: inline}, {outside: left, inside: right}]")


def add_second_passage(net: Topology) -> None:
    for name in ("left", "right"):
        net.box.add_veth(name, net.inside, f"far-{name}")


def test_one_passages_trouble_is_not_anothers(net: Topology, start: Start) -> None:
    """The second passage's interface vanishes, and comes back unfit; the first stays isolated, and in service."""
    add_second_passage(net)
    box = start(DROP_NINE, head=TWO_PASSAGES)
    held = interface_settings(net)[0]["queues"]
    net.box.delete_link("right")
    box.wait_for("left <-> right: an interface is gone; waiting for it")
    net.box.add_veth("right", net.inside, "far-right")
    net.box.add_address("right", "192.0.2.9/24")
    box.wait_for("right: it carries the address 192.0.2.9/24")
    wait_until(lambda: arrivals(net, udp(11)) == [udp(11)])
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert interface_settings(net)[0]["queues"] == held
    net.box.run(["ip", "address", "flush", "dev", "right"])
    box.wait_for("left <-> right: serving", times=2)
    assert box.log.count("outside <-> inside: serving") == 1
    assert box.log.count("192.0.2.9") == 1, "a complaint is made once"
    wait_until(lambda: arrivals(net, udp(11)) == [udp(11)])
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.rule("nine") == 2
    assert box.end() == 0


def test_another_mtu_is_followed(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    for place, name in ((net.box, "outside"), (net.box, "inside"), (net.outside, "eth0"), (net.inside, "eth0")):
        place.set_link(name, mtu=9000)
    long = udp(10) + bytes(8000)
    wait_until(lambda: arrivals(net, long) == [long])
    assert box.end() == 0


def test_a_reload_without_memory_leaves_the_old_rules_and_says_why(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    limit = 400 << 20  # of address space; it has more by now, so that nothing further is granted
    resource.prlimit(box.process.pid, resource.RLIMIT_AS, (limit, limit))
    box.reload(DROP_NINE.replace("nine", "other"), "reload refused, the running rules stay")
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.end() == 0


def test_it_ends_while_somebody_reloads_without_pause(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    over = threading.Event()

    def storm() -> None:
        while not over.wait(0.001) and box.process.poll() is None:
            box.process.send_signal(signal.SIGHUP)

    sender = threading.Thread(target=storm)
    sender.start()
    try:
        box.wait_for("reloaded", times=2)
        assert box.end() == 0
    finally:
        over.set()
        sender.join()


def test_it_goes_on_when_nobody_reads_its_messages(net: Topology, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(HEAD + DROP_NINE)
    process = net.box.popen([*TIDEGATE, "run", str(config)], stderr=subprocess.PIPE)
    try:
        while b"metrics on" not in process.stderr.readline():
            assert process.poll() is None
        process.stderr.close()
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: arrivals(net, udp(9), udp(10)) == [udp(10)])
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_reloads_leave_no_descriptors_behind(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    descriptors = Path(f"/proc/{box.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for number in range(1, 4):
        box.reload(DROP_NINE.replace("9", str(number)), "reloaded", times=number)
    assert len(list(descriptors.iterdir())) == before


def test_the_port_that_the_kernel_chose_is_told(net: Topology, start: Start) -> None:
    box = start(DROP_NINE, head=HEAD.replace("127.0.0.1:9478", "127.0.0.1:0"))
    assert re.search(r"metrics on 127\.0\.0\.1:[1-9]", box.log)


def test_systemd_is_told_what_goes_on(net: Topology, tmp_path: Path) -> None:
    config, manager = tmp_path / "box.yaml", tmp_path / "notify"
    config.write_text(HEAD + DROP_NINE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(manager))
        heard.settimeout(20)
        process = net.box.popen([*TIDEGATE, "run", str(config)], env={**os.environ, "NOTIFY_SOCKET": str(manager)})
        assert heard.recv(4096) == b"READY=1\nSTATUS=1 rules loaded"
        config.write_text(HEAD + DROP_NINE + "  - {id: ten, match: {udp.dport: 10}, action: drop}\n")
        process.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", heard.recv(4096))
        assert heard.recv(4096) == b"READY=1\nSTATUS=2 rules loaded"
        process.terminate()
        assert heard.recv(4096) == b"STOPPING=1"
        assert process.wait(20) == 0
