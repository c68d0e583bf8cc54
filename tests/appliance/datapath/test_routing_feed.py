"""Routing tables follow the kernel's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from appliance.datapath.routing_feed import RoutingFeed
from appliance.helpers.routing.layout import Copy, LinkEntry, Tables
from appliance.helpers.routing.tables import RoutingTables
from hooks.interfaces.netns import Namespace
from tests.netns import Host, namespace, run_inside

__all__ = ["namespace"]


@pytest.fixture
def tables(namespace: Host) -> Iterator[RoutingTables]:
    with RoutingTables() as fed, run_inside(namespace, lambda: RoutingFeed(fed)):
        yield fed


def copy_of(tables: RoutingTables) -> Copy:
    head = Tables.from_address(tables.address)
    return Copy.from_address(head.copies[head.generation & 1])


def settled(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the tables did not follow")


def loopback(tables: RoutingTables) -> LinkEntry:
    return LinkEntry.from_address(copy_of(tables).links)


def change(place: Namespace, command: str) -> None:
    place.run(command.split())


def test_links_routes_neighbours_and_settings(namespace: Host, tables: RoutingTables) -> None:
    assert (copy_of(tables).links_count, loopback(tables).mtu) == (1, 65536)
    change(namespace, "ip link set lo up mtu 1400")
    settled(lambda: loopback(tables).mtu == 1400)
    before = copy_of(tables).routes_count
    change(namespace, "ip route add 192.0.2.0/24 dev lo")
    settled(lambda: copy_of(tables).routes_count == before + 1)
    change(namespace, "ip rule add fwmark 7 table 100")
    settled(lambda: copy_of(tables).rules_count == 6)
    change(namespace, "ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev lo")
    settled(lambda: copy_of(tables).neighbours_count == 1)
    assert not loopback(tables).forwards & 1 << 2
    change(namespace, "sysctl -qw net.ipv4.conf.all.forwarding=1")
    settled(lambda: bool(loopback(tables).forwards & 1 << 2))


def test_closing_twice_is_harmless_and_ends_it(namespace: Host) -> None:
    with RoutingTables() as fed:
        feed = run_inside(namespace, lambda: RoutingFeed(fed))
        feed.close()
        feed.close()
        change(namespace, "ip link set lo mtu 1400")
        time.sleep(0.1)
        assert loopback(fed).mtu == 65536
