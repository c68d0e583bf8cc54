"""What programs of tcx stand at an interface, as far as the kernel tells."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from hooks.interfaces.tcx import tcx_programs
from tests.capabilities import requires
from tests.kernel_tcx import attached_to_tcx
from tests.netns import Topology, run_inside


def told(net: Topology, interface: str) -> str | None:
    return run_inside(net.box, lambda: tcx_programs(socket.if_nametoindex(interface)))


@requires("bpf", "tcx")
def test_programs_are_told_with_their_places(topology: Topology) -> None:
    assert told(topology, "outside") is None
    with attached_to_tcx(topology.box, "outside", "ingress") as first:
        assert told(topology, "outside") == f"a program of tcx (id {first}) at its ingress"
        assert told(topology, "inside") is None
        with (
            attached_to_tcx(topology.box, "outside", "ingress") as second,
            attached_to_tcx(topology.box, "outside", "egress") as third,
        ):
            assert told(topology, "outside") == (
                f"programs of tcx (id {first}, {second}) at its ingress and a program of tcx (id {third}) at its egress"
            )
    assert told(topology, "outside") is None


@requires("bpf", "tcx")
def test_an_interface_that_is_gone_is_an_error() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        tcx_programs(0x7FFFFFFF)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EINVAL])
def test_where_bpf_is_forbidden_nothing_is_seen(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: int, attributes: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("hooks.linux.bpf.bpf", refuse)
    assert tcx_programs(1) is None
