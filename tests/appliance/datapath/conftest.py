"""A box between two hosts whose program does what each frame asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import pytest
from llvmlite import ir

from appliance.datapath.datapath import Datapath
from appliance.datapath.loop import PacketLoops
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ir import I8, I32, I64, PTR, Code, Engine
from appliance.jit.entries import Entries
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from hooks.interfaces.netdev import find_interface
from hooks.opener.opener import LOCAL, Opener
from hooks.opener.start import start_opener
from tests.netns import Topology, run_inside

ORDER = 14  # the first byte behind the Ethernet header says which verdict the frame wants, the second where to


def obedient_engine(else_verdict: int = 2) -> Engine:
    """A loop around a program that returns the frame's ORDER byte if it is 1 to 5, else `else_verdict`."""
    module = ir.Module("obedient")
    code = Code.define(module, "program_obey", I64, context=PTR)
    data = code.pointer(code.field(code["context"], FrameContext, "data").load())
    order = code.load(code.at(data, ORDER), I8)
    target = code.resize(code.load(code.at(data, ORDER + 1), I8), I32)
    code.field(code["context"], FrameContext, "redirect_ifindex").store(target)
    known = code.and_(code.compare(order, ">=", 1), code.compare(order, "<=", 5))
    code.ret(code.select(known, code.resize(order, I64), else_verdict))
    PacketLoops(XDP_LINUX, "obey", "obey")(module, Entries({"obey": code.function}, ()))
    return Engine(module)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with obedient_engine() as compiled:
        yield compiled


class Box:
    """The topology with the datapath running in its box namespace."""

    def __init__(self, net: Topology, datapath: Datapath, indices: dict[str, int]) -> None:
        self.net, self.datapath, self.indices = net, datapath, indices


def this_process() -> AbstractContextManager[Opener]:
    return nullcontext(LOCAL)


def an_opener() -> AbstractContextManager[Opener]:
    """A process of its own, for all the interfaces that tests give a box."""
    names = ("outside", "inside", "left", "right")
    return start_opener(names, names, workers=2)


@contextmanager
def running_box(
    engine: Engine,
    *,
    tap: bool = False,
    workers: int = 1,
    by: Callable[[], AbstractContextManager[Opener]] = this_process,
    **topology: bool,
) -> Iterator[Box]:
    """`by` starts what opens the sockets, in the box's namespace."""
    with Topology(**topology) as net:
        outside, inside = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        indices = {interface.name: interface.index for interface in (outside, inside)}
        passage = Passage(outside, None if tap else inside)
        with ExitStack() as running:
            opener = run_inside(net.box, lambda: running.enter_context(by()))
            datapath = run_inside(net.box, lambda: Datapath([passage], Run.of(engine), workers=workers, opener=opener))
            with datapath:
                yield Box(net, datapath, indices)


@pytest.fixture
def box(engine: Engine) -> Iterator[Box]:
    with running_box(engine) as running:
        yield running
