"""Path MTU discovery through a SYN proxy: real stacks, and a router with a narrow link before the box or behind it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hooks.interfaces.netns import Namespace
from tests.appliance.box.conftest import wait_until
from tests.integration.proxied import (
    FAMILIES,
    PROXY,
    TRACKED,
    assert_nothing_was_invalid,
    blob,
    connect_to,
    exchange,
    listening,
    running,
    serving,
)
from tests.netns import Host, Topology, fresh_name

NARROW = 1300  # bytes: the MTU of the router's other link


@contextmanager
def behind(router: Host, other: Host) -> Iterator[Host]:
    """A host behind `router`, which says that it takes larger segments than the link between them lets through."""
    far = Host(fresh_name("far"), "eth0", "10.0.9.2", "fd09::2")
    with Namespace.create(far.name):
        far.add_veth(far.interface, router, "narrow")
        for host, interface, number in ((far, far.interface, 2), (router, "narrow", 1)):
            host.set_link(interface, mtu=NARROW)
            host.add_address(interface, f"10.0.9.{number}/24")
            host.add_address(interface, f"fd09::{number}/64")
        router.sysctl("ipv4/ip_forward", 1)
        router.sysctl("ipv6/conf/all/forwarding", 1)
        for host, gateways in ((far, ("10.0.9.1", "fd09::1")), (other, (router.ipv4, router.ipv6))):
            host.run(["ip", "route", "add", "default", "via", gateways[0], "advmss", "1460"])
            host.run(["ip", "-6", "route", "add", "default", "via", gateways[1], "advmss", "1440"])
        far.offloads(False)
        yield far


def errors_heard(host: Host, family: int) -> int:
    """How often a router has told the host that a packet was too large."""
    if family == socket.AF_INET6:
        lines = host.run(["cat", "/proc/net/snmp6"]).stdout.splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Icmp6InPktTooBigs"))
    names, numbers = (line.split() for line in host.run(["grep", "^Icmp:", "/proc/net/snmp"]).stdout.splitlines())
    return int(numbers[names.index("InDestUnreachs")])


@pytest.fixture
def net() -> Iterator[Topology]:
    with Topology(ipv6=True, offloads=False) as topology:
        yield topology


@FAMILIES
@pytest.mark.parametrize("rules", ["", TRACKED], ids=["alone", "with-connections"])
@pytest.mark.parametrize("narrow", ["front", "behind"])
def test_the_path_mtu_is_found(net: Topology, tmp_path: Path, family: int, rules: str, narrow: str) -> None:
    """Whoever sends more than the narrow link carries hears of it, by the numbers that he knows."""
    router, sender = (net.outside, net.inside) if narrow == "front" else (net.inside, net.outside)
    with running(net, tmp_path, PROXY + rules) as box, behind(router, sender) as far:
        client, server = (far, net.inside) if narrow == "front" else (net.outside, far)
        with serving(listening(server, family), lambda one: exchange(one, blob("down"))) as uploads:
            with connect_to(client, server, family) as connection:
                assert exchange(connection, blob("up")) == blob("down")
            wait_until(lambda: uploads == [blob("up")])
        assert errors_heard(sender, family) > 0
        assert_nothing_was_invalid(box)
