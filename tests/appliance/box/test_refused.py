"""Boxes that cannot run: they say why, and touch nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.appliance.box.conftest import DROP_NINE, HEAD, run_to_its_end
from tests.appliance.box.wire import interface_settings
from tests.netns import Topology


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (("outside: outside", "outside: eth77"), 2, "eth77: no such interface"),
        (("outside: outside", "outside: enp0s31f6-uplink-a"), 1, "15 characters at most"),
        (("inside: inside", "inside: enp0s31f6-uplink-a"), 1, "15 characters at most"),
        (("version: 1", "version: 7"), 1, "box.yaml:1:10:"),
        (("version: 1", "version: true"), 1, "this is a truth value, but the number 1 is wanted"),
        (("inside: inside, ", ""), 1, "an inline passage needs `inside`"),
        (("127.0.0.1:9478", "127.0.0.1:99999"), 1, "'127.0.0.1:99999' is not an address and a port"),
        (("127.0.0.1:9478", "192.0.2.1:9478"), 2, "metrics can't be served on 192.0.2.1:9478"),
        (("metrics:", "metricks:"), 1, "unknown key 'metricks'"),
        (("metrics:", "on_failure: restart\nmetrics:"), 1, "box.yaml:3:13:"),
    ],
)
def test_a_box_that_cannot_run_says_why_and_touches_nothing(
    net: Topology, config: Path, change: tuple[str, str], status: int, message: str
) -> None:
    config.write_text((HEAD + DROP_NINE).replace(*change))
    before = interface_settings(net)
    ended = run_to_its_end(net, config)
    assert ended.returncode == status
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert interface_settings(net) == before


def test_a_port_in_use(net: Topology, config: Path) -> None:
    with net.box.open_socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 9478))
        taken.listen()
        ended = run_to_its_end(net, config)
    assert ended.returncode == 2
    assert "metrics can't be served on 127.0.0.1:9478: Address already in use" in ended.stderr


def test_an_interface_with_an_address_is_refused(net: Topology, config: Path) -> None:
    net.box.add_address("outside", "192.0.2.9/24")
    before = interface_settings(net)
    ended = run_to_its_end(net, config)
    assert ended.returncode == 2
    assert "192.0.2.9/24" in ended.stderr
    assert interface_settings(net) == before


@pytest.mark.parametrize("mode", ["inline", "tap"])
def test_an_interface_without_an_ethernet_header_is_refused(net: Topology, config: Path, mode: str) -> None:
    """What stands at the start of its frames would be judged as Ethernet addresses: all of them would pass."""
    net.box.run(["ip", "tuntap", "add", "dev", "tun7", "mode", "tun"])
    entry = "{outside: tun7, inside: inside}" if mode == "inline" else "{outside: tun7, mode: tap}"
    config.write_text(HEAD.replace("{outside: outside, inside: inside, mode: inline}", entry) + DROP_NINE)
    assert entry in config.read_text()
    before = interface_settings(net)
    ended = run_to_its_end(net, config)
    assert ended.returncode == 2
    assert "tun7 has no Ethernet header (link type none)" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert interface_settings(net) == before


@pytest.mark.parametrize("missing", ["net_raw", "net_admin"])
def test_without_privilege(net: Topology, config: Path, missing: str) -> None:
    before = interface_settings(net)
    ended = run_to_its_end(net, config, "setpriv", f"--bounding-set=-{missing}")
    assert ended.returncode == 2
    assert f"CAP_{missing.upper()}" in ended.stderr or "root" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert interface_settings(net) == before
