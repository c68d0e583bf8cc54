"""Accepted programs keep their promise: random ones run in the checking interpreter without a fault."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.helpers.model.table import python_helpers
from appliance.maps.model.models import model
from appliance.verifier import Rejected, VerifiedProgram, Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.exploration.attempt import Strategy
from appliance.verifier.verifier import STRATEGIES
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.verifier.generate import random_program
from tests.appliance.verifier.support import MAPS, program

PROGRAMS = 1600
RUNS = 4
EDGES = (0, 1, 7, 15, 16, 255, 256, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


# Random loops without an end are not worth all the steps that an honest program may take.
FEW_STEPS = partial(Budget, 30_000)
USUAL = tuple(strategy._replace(share=strategy.share // 10) for strategy in STRATEGIES)
# Every loop's iterations are counted, if they can be.
COUNTED = tuple(strategy._replace(walked=1) for strategy in USUAL[:-1])
# Everything joined, and taken apart only by what demands want.
REFINED = (Strategy(1, 30_000, rounds=32),)


def accepted(seeds: range, strategies: tuple[Strategy, ...]) -> Iterator[tuple[int, VerifiedProgram]]:
    verifier = Verifier(MAPS, strategies=strategies, budget=FEW_STEPS)
    for seed in seeds:
        try:
            yield seed, verifier.verify(program(random_program(seed)))
        except Rejected:
            continue


def number(chance: random.Random) -> int:
    return chance.choice((chance.choice(EDGES), chance.getrandbits(5), chance.getrandbits(32)))


def run(verified: VerifiedProgram, chance: random.Random) -> int:
    maps = {name: model(spec) for name, spec in MAPS.items()}
    maps["flows"].update((5).to_bytes(8, "little"), chance.randbytes(16))
    frame = FrameContext(ingress_ifindex=number(chance), rx_queue_index=number(chance))
    packet = PacketMemory(chance.randbytes(chance.choice((14, 15, 20, 33, 34, 35, 60, 300))))
    return Interpreter(verified.spec, maps, python_helpers()).run(Context(XDP_LINUX, frame, packet))


@pytest.mark.parametrize("strategies", [USUAL, REFINED, COUNTED], ids=["usual", "refined", "counted"])
@pytest.mark.parametrize("part", range(4))
def test_accepted_random_programs_run_without_a_fault(part: int, strategies: tuple[Strategy, ...]) -> None:
    chance = random.Random(part)
    size = PROGRAMS // 4
    count = 0
    for seed, verified in accepted(range(part * size, (part + 1) * size), strategies):
        count += 1
        for _ in range(RUNS):
            assert run(verified, chance) in XDP_LINUX.verdicts, seed
    assert count > size // 5, "the generator must make programs that are worth running"
