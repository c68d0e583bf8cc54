"""The image with docker-compose.yml's rights and mounts does a box's work, and leaves nothing behind."""

from __future__ import annotations

import signal

import pytest

from tests.container.box import PORTS, Box, knock
from tests.container.compose import read_service

pytestmark = [pytest.mark.container, pytest.mark.netns, pytest.mark.timeout(400)]  # the first one builds the image

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13}  # numbers of <linux/capability.h>


def test_frames_cross_but_for_those_that_a_rule_drops(line: Box) -> None:
    assert line.ping()
    assert knock(line.net, 23) == "refused"  # configs/tidegate.yaml counts and drops nothing: `mode: monitor`

    document = line.document.read_text()
    enforced = document.replace("mode: monitor", "mode: enforce").replace("[rulesets/default.yaml]", "[]")
    assert "mode: enforce" in enforced
    line.document.write_text(enforced)
    line.signal("HUP")  # docker compose kill -s HUP box
    line.wait_for(lambda: "reloaded" in line.logs(), "the box reloads")

    assert line.ping()
    assert knock(line.net, 23) == "silence"  # rule `telnet`
    assert knock(line.net, 24) == "refused"


def test_sigterm_puts_the_interfaces_back(line: Box) -> None:
    during = line.interfaces()
    for port in PORTS:
        assert (line.before[port]["link"]["promiscuity"], during[port]["link"]["promiscuity"]) == (0, 1)
        assert "clsact" in during[port]["qdiscs"]
        assert "bpf" in during[port]["ingress"]
        assert "generic-receive-offload: off" in during[port]["offloads"]
        assert "generic-receive-offload: on" in line.before[port]["offloads"]
    assert line.stop() == 0
    assert line.interfaces() == line.before
    assert not line.ping()


def test_a_box_that_was_killed_comes_back_and_remembers_how_the_interfaces_were(line: Box) -> None:
    first = line.state("Pid")
    line.strike(signal.SIGKILL)
    line.wait_for(lambda: line.state("Pid") not in ("0", first), "`restart: on-failure` starts it again")
    line.wait_for(line.healthy, "the health check passes again")
    assert line.ping()
    assert line.stop() == 0
    assert line.interfaces() == line.before


def test_it_has_the_rights_of_the_compose_file_and_no_others(line: Box) -> None:
    allowed = sum(1 << CAPABILITIES[name] for name in read_service("box")["cap_add"])
    assert int(line.status("CapBnd"), 16) == allowed
    assert [int(line.status(kind), 16) for kind in ("CapPrm", "CapEff")] == [0, 0]  # the opener has them
    assert line.status("NoNewPrivs") == "1"
    writable = {
        point
        for point, options in line.mounts().items()
        if "rw" in options and not point.startswith(("/proc", "/dev", "/sys"))
    }
    assert writable == {"/run/tidegate", "/var/lib/tidegate"}


def test_a_box_that_hangs_is_unhealthy(line: Box) -> None:
    line.strike(signal.SIGSTOP)
    assert not line.healthy()
    line.strike(signal.SIGCONT)
    line.wait_for(line.healthy, "a box that goes on is healthy again")  # docker asks again, too, before it judges


def test_the_other_commands_work_inside(line: Box) -> None:
    """They need the documents and rule sets in the image, and neither a writable folder nor another right."""
    assert "good. eth0 <-> eth1" in line.tidegate("check", "/etc/tidegate/tidegate.yaml")
    assert "packet" in line.tidegate("explain", "packet-bounds")
