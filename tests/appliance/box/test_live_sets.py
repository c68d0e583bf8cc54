"""Sets that change while a box serves: by a reload, and element by element."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.maps import MapFull
from appliance.maps.control.packed import Replaced
from appliance.rules import RuleSet, compile_rule_set, load_rule_set
from appliance.rules.values import BadValue
from tests.appliance.box.conftest import Start, after
from tests.appliance.box.wire import arrivals, udp
from tests.netns import Topology

RULES = "sets: {bad: {type: port, file: bad.txt}}\nrules:\n  - {id: bad, match: {udp.dport: '@bad'}, action: drop}\n"
# a second load of anything is refused: a reload that works has loaded nothing
LOAD_ONCE = """
from appliance.jit.collection import Collection
real = Collection.load
def once(*given, **named):
    Collection.load = None
    return real(*given, **named)
Collection.load = once
"""


def test_a_reload_of_other_contents_compiles_nothing_and_forgets_no_count(
    net: Topology, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "bad.txt").write_text("9\n10\n")
    box = start(RULES, program=after(LOAD_ONCE))
    assert arrivals(net, udp(9), udp(10), udp(11)) == [udp(11)]
    (tmp_path / "bad.txt").write_text("10\n11\n")
    box.process.send_signal(signal.SIGHUP)
    box.wait_for("reloaded: 1 rules loaded; @bad +1 -1")
    assert arrivals(net, udp(9), udp(10), udp(11)) == [udp(9)]
    assert box.rule("bad") == 4
    metrics = box.metrics()
    assert metrics['tidegate_map_entries{map="port_bad"}'] == 2
    assert metrics['tidegate_reloads_total{result="success"}'] == 1
    (tmp_path / "bad.txt").write_text("10\nnonsense\n")
    box.process.send_signal(signal.SIGHUP)
    box.wait_for("reload refused")
    assert "bad.txt:2:1: 'nonsense' isn't a port" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(9)]
    (tmp_path / "bad.txt").write_text("")
    box.process.send_signal(signal.SIGHUP)
    box.wait_for("@bad +0 -2")
    assert arrivals(net, udp(9), udp(10)) == [udp(9), udp(10)]
    assert box.end() == 0


def test_what_stays_in_a_set_is_found_in_every_frame_of_a_reload(net: Topology, start: Start, tmp_path: Path) -> None:
    lists = ["9\n" + "".join(f"{port}\n" for port in range(begin, 60000, 2)) for begin in (1000, 1001)]
    (tmp_path / "bad.txt").write_text(lists[0])
    box = start(RULES)
    over = threading.Event()
    sent = 0
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:

        def send() -> None:
            nonlocal sent
            while not over.is_set():
                near.send(udp(9))
                sent += 1
                time.sleep(0.0001)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for turn in (1, 0, 1, 0):
                (tmp_path / "bad.txt").write_text(lists[turn])
                reloads = box.log.count("reloaded")
                box.process.send_signal(signal.SIGHUP)
                box.wait_for("reloaded", times=reloads + 1)
        finally:
            over.set()
            sender.join()
        near.send(udp(8))
        assert far.receive(1, 5) == [udp(8)]
    assert sent > 100
    assert box.rule("bad") == sent
    assert box.end() == 0


def test_new_rules_go_on_with_the_maps_of_the_sets_that_stay(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("192.0.2.0/24\n2001:db8::/32\n")
    first = _generation(tmp_path, "rules: [{id: a, match: {ip.src: '@bad'}, action: drop}]")
    (tmp_path / "bad.txt").write_text("192.0.2.0/24\n198.51.100.1\n")
    second = _generation(tmp_path, "rules: [{id: b, match: {ip.dst: '@bad'}, action: drop}]", first)
    map_ = first.collection.maps["in4_bad"]
    first.close(second)
    try:
        assert second.collection.maps["in4_bad"] is map_
        assert len(map_) == 1, "as it was, until the rules are in use"
        rules = second.filter_spec.rules
        assert rules is not None
        assert second.refill(rules.sets) == {"bad": Replaced(1, 1)}
        assert "198.51.100.1" in second.sets["bad"] and "2001:db8::1" not in second.sets["bad"]
    finally:
        second.close()


def test_a_list_that_has_grown_is_no_other_rule_set(tmp_path: Path) -> None:
    def read(number: int, size: str = "") -> RuleSet:
        (tmp_path / "bad.txt").write_text("".join(f"{port}\n" for port in range(number)))
        (tmp_path / "r.yaml").write_text(
            f"sets: {{bad: {{type: port, file: bad.txt{size}}}}}\n"
            "rules: [{id: a, match: {udp.dport: '@bad'}, action: drop}]"
        )
        return load_rule_set(tmp_path / "r.yaml")

    small = read(600)
    assert small.sets["bad"].sizes == (2048,)
    assert read(1025).sets["bad"].sizes == (4096,)
    assert read(1025).in_rooms_of(small) == small != read(1025)
    assert read(2049).in_rooms_of(small).sets["bad"].sizes == (8192,)
    assert read(10, ", size: 100").in_rooms_of(small).sets["bad"].sizes == (100,), "asked for is asked for"


def test_elements_come_and_go_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("192.0.2.0/24\n")
    with_size = RULES.replace("port, file: bad.txt", "prefix, file: bad.txt, size: 4").replace("udp.dport", "ip.src")
    generation = _generation(tmp_path, with_size.partition("\n")[2], sets=with_size.partition("\n")[0])
    bad = generation.sets["bad"]
    try:
        bad.add(["198.51.100.7-198.51.100.8", "2001:db8::/32"])
        assert len(bad) == 4
        assert all(each in bad for each in ("192.0.2.9", "198.51.100.8", "2001:db8:1::/48"))
        assert "198.51.100.9" not in bad
        with pytest.raises(BadValue):
            bad.add(["203.0.113.1", "nonsense"])
        assert "203.0.113.1" not in bad, "nothing is put in where something is wrong"
        assert bad.remove(["192.0.2.0/24", "203.0.113.1"]) == 1
        assert "192.0.2.9" not in bad
        with pytest.raises(MapFull):
            bad.add([f"203.0.113.{number}" for number in range(5)])
    finally:
        generation.close()


def _generation(
    folder: Path,
    rules: str,
    previous: Generation | None = None,
    sets: str = "sets: {bad: {type: prefix, file: bad.txt}}",
) -> Generation:
    (folder / "rules.yaml").write_text(f"{sets}\n{rules}\n")
    compiled = compile_rule_set(load_rule_set(folder / "rules.yaml"))
    return Generation.load(FilterSpec.of_rules(compiled, "rules.yaml"), 1, previous)
