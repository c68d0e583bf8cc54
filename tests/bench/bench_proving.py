"""What it costs to prove and compile in a process of its own, and what is left of a thousand builds in who asks."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.box.proving.build import build
from appliance.box.proving.prover import Prover
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.jit.build_key import compile_, prove
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code.compile import INWARD_PROGRAM, OUTWARD_PROGRAM
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.footprint import status_of

ROOT = Path(__file__).parents[2]
FEW, MANY = 10, 1000  # builds
MOST_MORE = 5.0  # MB
TURNS = 5


def main(_: Bench) -> Iterator[Figure]:
    small = _object("xdp_pass")
    with Prover() as prover:
        prover.ready()
        yield _left(small, prover)  # first: what this process builds itself would leave room for more
        yield _zygote(prover)
        yield _cost("a small program", small, prover)
        yield _cost("the default rule set", _default_rules(), prover)


def _object(name: str) -> BuildRequest:
    return BuildRequest(ObjectFile(name, (ROOT / f"programs/{name}.bpf.o").read_bytes()), name, None, 1)


def _default_rules() -> BuildRequest:
    compiled = compile_rule_set(load_rule_set(ROOT / "configs/rulesets/default.yaml"))
    return BuildRequest(ObjectFile("default.yaml", compiled.object), INWARD_PROGRAM, OUTWARD_PROGRAM, 1)


def _cost(what: str, request: BuildRequest, prover: Prover) -> Figure:
    """Both in turns: a build by a prover, and one in this process that has forgotten the one before."""
    apart, here = [], []
    for _ in range(TURNS):
        apart.append(_milliseconds(lambda: prover.build(request)))
        prove.cache_clear()
        compile_.cache_clear()
        here.append(_milliseconds(lambda: build(request)))
    return Figure(
        name=f"proving {what}",
        value=statistics.median(apart),
        unit="ms",
        peer="in the same process",
        peer_value=statistics.median(here),
        samples={"prover": apart, "same process": here},
    )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _left(request: BuildRequest, prover: Prover) -> Figure:
    """Memory of this process, which only asks."""
    resident = []
    for number in range(1, MANY + 1):
        prover.build(request)
        if number in (FEW, MANY):
            gc.collect()
            resident.append(status_of("self")["VmRSS"])
    return Figure(
        name=f"memory after {MANY} builds",
        value=resident[1],
        unit="MB",
        peer=f"after {FEW}",
        peer_value=resident[0],
        target=Target(Compared.DIFFERENCE, at_most=MOST_MORE),
    )


def _zygote(prover: Prover) -> Figure:
    status = status_of(prover.process_id)
    return Figure(
        name="memory of the zygote",
        value=status["VmRSS"],
        unit="MB",
        remark=f"anonymous {status['RssAnon']:.0f} MB; address space {status['VmSize']:.0f} MB of the 1074 of a prover",
    )
