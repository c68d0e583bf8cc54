"""The router between two networks: real pings through a box that asks the kernel's tables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.api import Link, open_object
from hooks.contracts.contract import Verdict
from tests.netns import Topology, run_inside

PROGRAM = Path(__file__).parents[2] / "programs" / "xdp_router.bpf.o"
GATEWAY = "02:00:00:00:00:fe"  # where the hosts send what is not on their link; the box takes whatever crosses it


@pytest.fixture(scope="module")
def net() -> Iterator[Topology]:
    """10.1.0.0/24 outside, 10.2.0.0/24 inside; the box has routes to them, and knows no neighbours yet."""
    with Topology(offloads=False) as made:
        for host, here, there in ((made.outside, 1, 2), (made.inside, 2, 1)):
            host.add_address("eth0", f"10.{here}.0.{here}/24")
            host.add_neighbour("eth0", f"10.{here}.0.254", GATEWAY)
            host.run(["ip", "route", "add", f"10.{there}.0.0/24", "via", f"10.{here}.0.254"])
        made.box.sysctl("ipv4/conf/all/forwarding", 1)
        for name, number in (("outside", 1), ("inside", 2)):
            made.box.run(["ip", "route", "add", f"10.{number}.0.0/24", "dev", name])
        yield made


@pytest.fixture(scope="module")
def link(net: Topology) -> Iterator[Link]:
    with open_object(PROGRAM).load() as loaded:
        router = loaded.programs["xdp_router"]
        with run_inside(net.box, lambda: router.attach("outside", "inside", outward="xdp_router")) as attached:
            yield attached
            run_inside(net.box, attached.detach)


def ping(net: Topology, address: str, *options: str) -> str:
    return net.outside.run(["ping", "-c", "1", "-W", "1", *options, address], check=False).stdout


def answered(net: Topology, address: str, *options: str) -> str:
    """The tables follow within a tenth of a second."""
    for _ in range(5):
        if "1 received" in (told := ping(net, address, *options)):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def test_without_a_neighbour_nothing_leaves(net: Topology, link: Link) -> None:
    assert "0 received" in ping(net, "10.2.0.2")
    assert link.statistics()["outside"].verdicts[Verdict.DROP].packets >= 1


def test_pings_are_routed_both_ways_and_lose_two_hops(net: Topology, link: Link) -> None:
    net.box.add_neighbour("outside", "10.1.0.1", net.outside.ethernet)
    net.box.add_neighbour("inside", "10.2.0.2", net.inside.ethernet)
    before = link.statistics()
    assert "ttl=63" in answered(net, "10.2.0.2")
    after = link.statistics()
    for name in ("outside", "inside"):
        assert after[name].verdicts[Verdict.REDIRECT].packets > before[name].verdicts[Verdict.REDIRECT].packets
    assert "0 received" in ping(net, "10.2.0.2", "-t", "1")


def test_a_route_that_goes_is_gone(net: Topology, link: Link) -> None:
    answered(net, "10.2.0.2")
    net.box.run(["ip", "route", "replace", "blackhole", "10.2.0.2/32"])
    for _ in range(40):
        if "0 received" in ping(net, "10.2.0.2"):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the old route was still taken")
    net.box.run(["ip", "route", "del", "blackhole", "10.2.0.2/32"])
    answered(net, "10.2.0.2")
