"""The ways in which two hosts are joined: a Linux bridge, the plain forwarder, Tidegate.

Each join has a network of its own (tests.netns), all of them stand at the same time, and whoever isn't measured is idle
and asleep; so one can be measured right after the other. Tidegate and the forwarder work under the same conditions: the
interfaces are isolated for both.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hooks.interfaces.ethtool import set_features
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.netns import Namespace
from tests.appliance.box.conftest import HEAD, RunningBox
from tests.bench.figures import Bench
from tests.bench.measuring import SOURCES
from tests.family import member
from tests.netns import Topology

TWENTY = SOURCES / "twenty.yaml"
DATAPATH = "tg-datapath"
BRIDGE, FORWARDER, TIDEGATE = "bridge", "plain C", "tidegate"


@dataclass(frozen=True, slots=True)
class Join:
    """A network whose two hosts reach one another. `pid` is the process between them, if there is one, and `box` that
    which started it, if it is Tidegate."""

    net: Topology
    pid: int | None = None
    box: int = 0


@contextmanager
def bridge() -> Iterator[Join]:
    with Topology(offloads=False) as net, net.bridge():
        yield Join(net)


@contextmanager
def forwarder(bench: Bench) -> Iterator[Join]:
    """The C loop that looks at nothing."""
    with Topology(offloads=False) as net, _isolated(net.box, ("outside", "inside")):
        command = [str(bench.tools / "forwarder"), "outside", "inside"]
        process = net.box.popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            process.stdout.readline()  # "ready"
            yield Join(net, process.pid)
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def tidegate(bench: Bench, rules: Path = TWENTY) -> Iterator[Join]:
    """`tidegate run` with a rule set, as an operator starts it."""
    with Topology(offloads=False) as net:
        config = bench.folder / f"{rules.stem}-box.yaml"
        config.write_text(document(rules))
        box = RunningBox(net, config)
        try:
            box.wait_for("metrics on")
            yield Join(net, member(box.process.pid, DATAPATH), box.process.pid)
        finally:
            box.end()


def document(rules: Path) -> str:
    """A box between the two interfaces of the topology with these rules."""
    return HEAD + f'include: ["{rules}"]\n'


def receive_offload(join: Join, on: bool) -> None:
    """Let the end hosts glue received segments together, or not."""
    for host in (join.net.outside, join.net.inside):
        with host.entered():
            set_features(host.interface, {"rx-gro": on})


@contextmanager
def _isolated(place: Namespace, interfaces: tuple[str, ...]) -> Iterator[None]:
    """What a box does to its interfaces, without a box."""
    held = ExitStack()
    try:
        with place.entered():
            for name in interfaces:
                held.enter_context(Isolation(name))
        yield
    finally:
        with place.entered():
            held.close()
