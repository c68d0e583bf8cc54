"""fib_lookup and check_mtu: the interpreter, native code and Linux, in a namespace with routes of every kind."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.spec import CollectionSpec
from appliance.errors import CannotRun
from appliance.helpers.routing.tables import RoutingTables
from appliance.jit.collection import Collection
from hooks.interfaces.netns import Namespace
from hooks.linux import bpf
from hooks.routing.routes import Neighbour, NetworkLink, NextHop, Route, RouteKind, Routing, Rule
from hooks.routing.watch import RoutingWatch
from tests.appliance.helpers.routing.routed import COMMANDS, DESTINATIONS, SOURCES
from tests.appliance.helpers.routing.routed_engines import PROGRAMS, QUESTION, Engines, answer, question
from tests.appliance.jit.support import run_loops
from tests.appliance.verifier import kernel
from tests.netns import fresh_name, run_inside

FLAGS = (0, 1, 2, 3, 4, 5, 16, 16 | 4, 32)


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with Namespace.create(fresh_name("routed")) as made:
        for command in COMMANDS:
            made.run(command.split())
        yield made


@pytest.fixture(scope="module")
def engines(namespace: Namespace) -> Iterator[Engines]:
    def read() -> Routing:
        with RoutingWatch() as watch:
            return watch.read()

    spec = CollectionSpec("t.o", "linux", PROGRAMS, {"question": QUESTION})
    with (
        RoutingTables() as tables,
        Collection.load(spec, loops=run_loops) as loaded,
        kernel.kernel_maps({"question": QUESTION}) as numbers,
    ):
        tables.publish(run_inside(namespace, read))
        yield Engines(loaded, numbers, namespace, tables.address)


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_every_destination(engines: Engines, destination: str) -> None:
    for flags, interface in itertools.product(FLAGS, (1, 2, 3, 4, 99)):
        if destination == "::" and flags & bpf.BPF_FIB_LOOKUP_SRC:
            continue  # for the unspecified address Linux chooses a link-local one to speak from (RFC 6724)
        engines.all_three("ask", question(destination, flags=flags, interface=interface))


@pytest.mark.parametrize("source", SOURCES)
def test_every_source(engines: Engines, source: str) -> None:
    destination = "10.1.2.3" if "." in source else "fd01::3"
    for flags in FLAGS:
        engines.all_three("ask", question(destination, source, flags=flags))


@pytest.mark.parametrize("length", [0, 1, 1280, 1399, 1400, 1401, 1500, 1501, 65535])
@pytest.mark.parametrize("destination", ["10.1.2.3", "10.4.0.1", "10.5.0.1", "fd01::3", "fd04::1"])
def test_lengths(engines: Engines, destination: str, length: int) -> None:
    engines.all_three("ask", question(destination, length=length))


@pytest.mark.parametrize("mark", [0, 7, 8, 0x107])
def test_marks(engines: Engines, mark: int) -> None:
    for flags in (0, bpf.BPF_FIB_LOOKUP_MARK, bpf.BPF_FIB_LOOKUP_MARK | bpf.BPF_FIB_LOOKUP_DIRECT):
        for destination in ("10.1.2.3", "10.100.0.1", "fd01::3"):
            engines.all_three("ask", question(destination, flags=flags, mark=mark))


@pytest.mark.parametrize("table", [0, 100, 101, 253, 254, 255])
def test_tables(engines: Engines, table: int) -> None:
    for destination, flags in itertools.product(
        ("10.1.2.3", "10.0.0.1", "10.100.0.1", "fd01::3", "fd00::1"), (9, 8, 25)
    ):
        engines.all_three("ask", question(destination, flags=flags, table=table))


def test_wrong_questions(engines: Engines) -> None:
    for flags in (64, 1 << 31, 65):
        engines.all_three("ask", question("10.1.2.3", flags=flags))
    other = bytearray(question("10.1.2.3"))
    other[0] = socket.AF_UNIX
    assert answer(engines.all_three("ask", bytes(other)))[0] == -97


def test_what_success_tells(engines: Engines) -> None:
    number, told = answer(engines.all_three("ask", question("10.1.2.3", length=100)))
    assert number == bpf.BPF_FIB_LKUP_RET_SUCCESS
    assert (told.ifindex, told.rt_metric, told.tot_len) == (3, 5, 1500)
    assert bytes(told.dst)[:4] == ipaddress.ip_address("10.0.1.2").packed
    assert bytes(told.dmac).hex(":") == "02:00:00:00:01:02"
    assert bytes(told)[52:58].hex(":") == "02:00:00:00:00:03"


def test_several_next_hops_share_and_each_flow_keeps_its_own(engines: Engines) -> None:
    def gateway(source: str) -> bytes:
        number, told = answer(engines.both("ask", question("10.6.0.1", source)))
        assert number == bpf.BPF_FIB_LKUP_RET_SUCCESS
        return bytes(told.dst)[:4]

    sources = [f"10.9.{third}.{fourth}" for third in range(10) for fourth in range(10)]
    chosen = [gateway(source) for source in sources]
    assert chosen == [gateway(source) for source in sources]
    first, second = (chosen.count(ipaddress.ip_address(text).packed) for text in ("10.0.1.2", "10.0.0.2"))
    assert first + second == 100
    assert first > second > 10, "weights are 2 and 1"


def test_without_tables_nothing_is_forwarded(engines: Engines) -> None:
    with RoutingTables() as empty:
        for address, expected in ((0, bpf.BPF_FIB_LKUP_RET_NOT_FWDED), (empty.address, -19)):
            other = Engines(engines.loaded, engines.numbers, engines.namespace, address)
            assert answer(other.both("ask", question("10.1.2.3")))[0] == expected


def test_tables_are_what_was_published_last(engines: Engines) -> None:
    def route(gateway: str) -> Routing:
        hop = (NextHop(2, gateway),)
        neighbour = Neighbour(2, gateway, "02:00:00:00:00:09")
        return Routing((NetworkLink(2),), (Route("0.0.0.0/0", hop),), (neighbour,))

    with RoutingTables() as tables:
        other = Engines(engines.loaded, engines.numbers, engines.namespace, tables.address)
        for number in range(1, 6):
            tables.publish(route(f"192.0.2.{number}"))
            code, told = answer(other.both("ask", question("198.51.100.1")))
            assert (code, bytes(told.dst)[:4]) == (0, bytes((192, 0, 2, number)))
        with pytest.raises(CannotRun, match="routing tables: 5000 links, and room for 4096"):
            tables.publish(Routing(tuple(NetworkLink(index) for index in range(1, 5001))))
        assert answer(other.both("ask", question("198.51.100.1")))[0] == 0
    with pytest.raises(CannotRun, match="the routing tables are closed"):
        tables.publish(Routing())
    tables.close()


@pytest.mark.parametrize("interface", [0, 1, 2, 3, 99])
def test_check_mtu(engines: Engines, interface: int) -> None:
    cases = itertools.product(
        (0, 1, 1500, 1501, 0xFFFFFFFF), (0, 1, -1, 1436, 1437, 1450, 1451, -(1 << 31)), (0, 1, 1 << 40)
    )
    for wanted, difference, flags in cases:
        value = struct.pack("<IIIIiIQ", interface, 0, wanted, 0, difference, 0, flags).ljust(72, b"\0")
        engines.all_three("check", value)


# Routing of a few addresses, so that prefixes nest, against the definition of the longest match.
ADDRESSES = st.integers(0, 31).map(lambda number: f"10.0.0.{number * 8}")
ROUTES = st.lists(
    st.builds(
        lambda address, length, metric, interface, kind: Route(
            str(ipaddress.ip_network(f"{address}/{length}", strict=False)), (NextHop(interface),), 254, kind, metric
        ),
        ADDRESSES,
        st.integers(24, 32) | st.sampled_from([0, 8]),
        st.integers(0, 2),
        st.integers(2, 4),
        st.sampled_from([RouteKind.UNICAST] * 4 + [RouteKind.BLACKHOLE, RouteKind.THROW]),
    ),
    max_size=12,
    unique_by=lambda route: (route.destination, route.metric),
)


def best(routes: list[Route], destination: str, out: int) -> Route | None:
    fitting = [
        route
        for route in routes
        if ipaddress.ip_address(destination) in ipaddress.ip_network(route.destination)
        and (not out or route.kind >= RouteKind.BLACKHOLE or route.next_hops[0].interface == out)
    ]
    longest = sorted(fitting, key=lambda route: (-int(route.destination.split("/")[1]), route.metric))
    return longest[0] if longest else None


def test_the_longest_prefix_wins(engines: Engines) -> None:
    links = tuple(NetworkLink(index) for index in (2, 3, 4))
    with RoutingTables() as tables:
        other = Engines(engines.loaded, engines.numbers, engines.namespace, tables.address)

        @settings(max_examples=60, deadline=None)
        @given(ROUTES, ADDRESSES, st.sampled_from([0, 2, 3]))
        def agree(routes: list[Route], destination: str, out: int) -> None:
            tables.publish(Routing(links, tuple(routes), rules=(Rule(2, 254),)))
            flags = bpf.BPF_FIB_LOOKUP_SKIP_NEIGH | (bpf.BPF_FIB_LOOKUP_OUTPUT if out else 0)
            code, told = answer(other.both("ask", question(destination, flags=flags, interface=out or 2)))
            expected = best(routes, destination, out)
            if expected is None or expected.kind is RouteKind.THROW:
                assert code == bpf.BPF_FIB_LKUP_RET_NOT_FWDED
            elif expected.kind is RouteKind.BLACKHOLE:
                assert code == bpf.BPF_FIB_LKUP_RET_BLACKHOLE
            else:
                hop = out or expected.next_hops[0].interface
                assert (code, told.ifindex, told.rt_metric) == (0, hop, expected.metric)

        agree()
