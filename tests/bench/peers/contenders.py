"""Who stands between the two hosts: Tidegate, its object in Linux, nftables, xdp-filter, and nobody but a bridge.

Each has a network of its own, made like the others (tests.netns), and does the same work: it drops what the task says,
and what is left arrives at the far host. nftables sends it there itself (`fwd to`), XDP programs let it pass to a
bridge below, which is the way that Linux has for them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from appliance.rules import compile_rule_set, load_rule_set
from hooks.errors import TidegateError
from tests.appliance.box.conftest import RunningBox
from tests.appliance.rules.kernel import KernelRules
from tests.bench.figures import Bench
from tests.bench.joins import BRIDGE, DATAPATH, TIDEGATE, Join
from tests.bench.joins import document as box_document
from tests.bench.measuring import ALL_PROCESSORS, pin, received_frames
from tests.bench.peers import documents, xdp_filter
from tests.bench.peers.tasks import Blocklist, RuleList
from tests.bench.peers.unavailable import Unavailable, last_line, need
from tests.family import member
from tests.netns import Topology

OBJECT = "its object in Linux"
UNFILTERED = f"{BRIDGE}, no filter"
ITS_OWN = {max(ALL_PROCESSORS)}  # the processor of a process between the hosts; the sender has the first
PATIENCE_SECONDS = 200.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody ready to be measured. `seconds` is how long that took, from the document to the first judged frame;
    `handled` is how many frames were dropped or carried so far."""

    join: Join
    seconds: float
    handled: Callable[[], int]


Contender = Callable[[Bench, Any], AbstractContextManager[Standing]]


def _in_softirq(net: Topology, seconds: float) -> Standing:
    """Of whoever works where the box's interface takes frames in: what came in was handled, no queue is behind it."""
    return Standing(Join(net), seconds, partial(received_frames, net.box, "outside"))


@contextmanager
def _bridged() -> Iterator[Topology]:
    """A network whose box is a bridge, and does not take its frames to iptables besides (br_netfilter)."""
    with Topology(offloads=False) as net, net.bridge():
        with suppress(FileNotFoundError):
            net.box.sysctl("bridge/bridge-nf-call-iptables", 0)
        yield net


@contextmanager
def tidegate(bench: Bench, task: Blocklist | RuleList) -> Iterator[Standing]:
    """The box, as an operator starts it. Raises Unavailable if it refuses the rules."""
    config = bench.folder / "peers-box.yaml"
    config.write_text(box_document(documents.rule_set(task, bench.folder)))
    with Topology(offloads=False) as net:
        began = time.perf_counter()
        box = RunningBox(net, config)
        try:
            try:
                box.wait_for("metrics on", seconds=PATIENCE_SECONDS)
            except AssertionError:
                raise Unavailable(last_line(box.log)) from None
            seconds = time.perf_counter() - began
            judges = member(box.process.pid, DATAPATH)
            pin(judges, ITS_OWN)
            yield Standing(Join(net, judges, box.process.pid), seconds, partial(_carried_or_dropped, box))
        finally:
            box.end()


def _carried_or_dropped(box: RunningBox) -> int:
    """By the far host's account and the box's own: what its ring had no room for is neither."""
    counted, inside = box.metrics().items(), box.net.inside
    dropped = sum(
        value
        for name, value in counted
        if name.startswith("tidegate_interface_packets_total") and 'verdict="drop"' in name
    )
    return received_frames(inside, inside.interface) + int(dropped)


@contextmanager
def object_in_linux(bench: Bench, task: Blocklist | RuleList) -> Iterator[Standing]:
    """The portable object of the same rule set, at the interface's native XDP hook. Raises Unavailable."""
    need("bpftool", "bpftool")
    document = documents.rule_set(task, bench.folder)
    with _bridged() as net:
        began = time.perf_counter()
        try:
            compiled = compile_rule_set(load_rule_set(document))
        except TidegateError as error:
            raise Unavailable(last_line(str(error))) from None
        with _loaded(KernelRules(compiled, bench.folder)) as rules:
            with net.box.netlink() as route:
                route.link("set", ifname="outside", xdp_fd=rules.descriptor())
            yield _in_softirq(net, time.perf_counter() - began)


@contextmanager
def _loaded(rules: KernelRules) -> Iterator[KernelRules]:
    try:
        rules.__enter__()
    except AssertionError as error:  # with libbpf's log
        raise Unavailable(f"Linux refuses it: {last_line(str(error))}") from None
    with rules:
        yield rules


def nftables(write: Callable[[Any, str, str], Iterator[str]]) -> Contender:
    """A table at the interface's ingress; `write` says it in nftables' language."""

    @contextmanager
    def stand(bench: Bench, task: Blocklist | RuleList) -> Iterator[Standing]:
        need("nft", "nftables")
        file = bench.folder / "peers.nft"
        with file.open("w") as stream:
            stream.writelines(write(task, "outside", "inside"))
        with Topology(offloads=False) as net:
            began = time.perf_counter()
            try:
                done = net.box.run(["nft", "-f", str(file)], check=False, timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                raise Unavailable(f"not loaded within {PATIENCE_SECONDS:.0f} s") from None
            if done.returncode:
                raise Unavailable(f"`nft -f`: {done.stderr.splitlines()[0] if done.stderr else 'it said nothing'}")
            yield _in_softirq(net, time.perf_counter() - began)

    return stand


@contextmanager
def filtered_by_xdp_filter(_: Bench, task: Blocklist) -> Iterator[Standing]:
    """xdp-filter's list of addresses."""
    with _bridged() as net:
        began = time.perf_counter()
        with xdp_filter.attached(net.box, "outside", task.prefixes):
            yield _in_softirq(net, time.perf_counter() - began)


@contextmanager
def unfiltered(_: Bench, __: Blocklist | RuleList) -> Iterator[Standing]:
    """A bridge that carries all: what the way costs without any filter."""
    with _bridged() as net:
        yield _in_softirq(net, 0.0)


OURS: Mapping[str, Contender] = {TIDEGATE: tidegate, OBJECT: object_in_linux}
PEERS: Mapping[type[Blocklist | RuleList], Mapping[str, Contender]] = {
    Blocklist: {
        "nftables, set": nftables(documents.nftables_set),
        "xdp-filter": filtered_by_xdp_filter,
        UNFILTERED: unfiltered,
    },
    RuleList: {
        "nftables, chain": nftables(documents.nftables_chain),
        "nftables, verdict map": nftables(documents.nftables_map),
        UNFILTERED: unfiltered,
    },
}
