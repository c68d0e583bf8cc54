"""Looking interfaces up, and watching them come and go."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hooks.errors import InterfaceError
from hooks.interfaces.netdev import InterfaceState, find_interface, interface_state, list_interfaces
from tests.netns import Host, Topology

pytestmark = pytest.mark.netns


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether the condition comes true within the time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_an_interface_is_described(topology: Topology) -> None:
    with topology.outside.entered():
        found = find_interface("eth0")
        assert [interface.name for interface in list_interfaces()] == ["lo", "eth0"]
    assert (found.ethernet, found.mtu, found.up, found.carrier) == (topology.outside.ethernet, 1500, True, True)
    assert (found.loopback, found.master) == (False, None)
    assert found.addresses == found.own_addresses == ("10.0.0.1/24",)


def test_link_local_addresses_are_not_somebodys() -> None:
    with Topology(ipv6=True) as net, net.outside.entered():
        found = find_interface("eth0")
    assert found.own_addresses == ("10.0.0.1/24", "fd00::1/64")
    assert set(found.addresses) - set(found.own_addresses) == {"fe80::ff:fe00:1/64"}


def test_a_port_knows_its_bridge(topology: Topology) -> None:
    with topology.bridge(), topology.box.entered():
        assert find_interface("inside").master == "bridge"


def test_a_missing_interface_is_named_with_those_that_exist(topology: Topology) -> None:
    with topology.box.entered(), pytest.raises(InterfaceError) as raised:
        find_interface("eth9")
    assert str(raised.value) == "eth9: no such interface (this machine has lo, outside, inside)"


def test_the_state_follows_the_interface(topology: Topology) -> None:
    box = topology.box
    with box.entered():
        index = find_interface("outside").index
        assert interface_state("outside") == InterfaceState(index, up=True, carrier=True, mtu=1500)
        box.set_link("outside", mtu=9000)
        topology.outside.set_up("eth0", False)
        expected = InterfaceState(index, up=True, carrier=False, mtu=9000)
        assert eventually(lambda: interface_state("outside") == expected)
        box.set_up("outside", False)
        assert interface_state("outside") == InterfaceState(index, up=False, carrier=False, mtu=9000)
        box.delete_link("outside")
        assert interface_state("outside") is None
        box.add_veth("outside", topology.outside, "eth0")
        again = interface_state("outside")
        assert again is not None
        assert (again.up, again.mtu) == (True, 1500)


def test_a_name_longer_than_names_may_be_is_no_interface(namespace: Host) -> None:
    with namespace.entered():
        assert interface_state("a-very-long-interface-name") is None
