"""A filter tried on captures, without a network: by the native code that a box runs, or by the interpreter.

Both engines find the same: the capture's clock, the same random numbers, the same room around a frame, and state that
is empty when a capture begins, so that one capture's times mean nothing to the next. Frames from outside are judged by
the inward program, and those that a capture marks as from inside by the outward one, as between a box's interfaces.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import COUNTER
from appliance.box.state import begin_anew, never_learn
from appliance.closeable import Closeable
from appliance.datapath.captures import Capture
from appliance.datapath.layout import INWARD, OUTWARD, SCRATCH_HEADROOM, SCRATCH_TAILROOM, VERDICTS
from appliance.datapath.replay import RANDOM_SEED, ReplayLoop, ReplayResult, replay
from appliance.datapath.statistics import Count
from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.platform import PLATFORMS
from appliance.helpers.model.table import python_helpers
from appliance.helpers.native.call import Clock
from appliance.helpers.services import RuntimeServices
from appliance.jit.collection import Collection
from appliance.jit.plan import held_programs
from appliance.maps.model.models import models
from appliance.rules.code.layout import CompiledRules
from appliance.verifier.verifier import Verifier
from hooks.contracts.contract import Answer
from hooks.contracts.xdp import FrameContext


class OfflineReplay(Protocol):
    """What both engines offer. A context manager."""

    def replay(self, capture: Capture) -> ReplayResult:
        """Judge every frame of a capture."""

    def rule_counts(self) -> Mapping[str, Count]:
        """What each rule counted, by id, over all captures so far."""

    def parse_errors(self) -> Mapping[str, int]:
        """How many frames were malformed, by reason, over all captures so far; nothing for an object."""

    def close(self) -> None: ...


class NativeReplay(Closeable):
    """The program compiled as a box compiles it. For one thread."""

    def __init__(self, filter_spec: FilterSpec, *, two_ways: bool = False) -> None:
        """Verify and compile; both programs if frames go two ways. Raises InputRefused."""
        outward = filter_spec.outward if two_ways else None
        self._rules = filter_spec.rules
        self._state = tuple(filter_spec.state_maps)
        self._collection = Collection.load(
            filter_spec.spec,
            programs=dict.fromkeys(filter(None, (filter_spec.inward, outward))),
            clock=Clock.FRAME,
            loops=ReplayLoop(filter_spec.hook, filter_spec.inward, outward),
        )

    def replay(self, capture: Capture) -> ReplayResult:
        begin_anew(self._collection.maps, self._state)
        return replay(self._collection.engine, capture)

    def rule_counts(self) -> Mapping[str, Count]:
        if self._rules is None:
            return {}
        counters = self._collection.maps[self._rules.counters]
        return {
            rule.id: Count(*COUNTER.unpack(counters.lookup(struct.pack("=I", rule.index)) or bytes(COUNTER.size)))
            for rule in self._rules.counted
        }

    def parse_errors(self) -> Mapping[str, int]:
        if self._rules is None:
            return {}
        return _parse_errors(self._rules, self._collection.maps[self._rules.parse_errors].lookup)

    def close(self) -> None:
        self._collection.close()


class InterpretedReplay(Closeable):
    """The program step by step, every access checked. Slow, and independent of LLVM. For one thread."""

    def __init__(self, filter_spec: FilterSpec, *, two_ways: bool = False) -> None:
        """Verify. Raises InputRefused."""
        self._rules = filter_spec.rules
        self._state = tuple(filter_spec.state_maps)
        self._spec = filter_spec.spec
        outward = filter_spec.outward if two_ways else filter_spec.inward
        # in the order of INWARD and OUTWARD
        self._programs = tuple(self._spec.programs[name] for name in (filter_spec.inward, outward))
        verifier = Verifier(self._spec.maps, PLATFORMS[self._spec.platform])
        for program in (*self._programs, *held_programs(self._spec)):
            verifier.verify(program)
        self._maps = models(self._spec.maps)
        self._host = FrameContext(random_state=RANDOM_SEED)
        self._services = RuntimeServices.reproducible()
        self._services.put_into(self._host)

    def replay(self, capture: Capture) -> ReplayResult:
        self._maps |= models({name: self._spec.maps[name] for name in self._state})
        never_learn(self._maps)
        interpreters = [
            Interpreter(program, self._maps, python_helpers(), programs=self._spec.programs)
            for program in self._programs
        ]
        self._host.random_state = RANDOM_SEED
        packets, sizes, sequence = Counter[tuple[int, Answer]](), Counter[tuple[int, Answer]](), bytearray()
        began = time.perf_counter()
        for record in capture.records():
            verdict = self._judge(interpreters[record.program], capture.frame(record), record.time_ns)
            packets[record.program, verdict] += 1
            sizes[record.program, verdict] += record.length
            sequence.append(VERDICTS.index(verdict))
        seconds = time.perf_counter() - began
        inward, outward = (
            {verdict: Count(packets[way, verdict], sizes[way, verdict]) for verdict in VERDICTS}
            for way in (INWARD, OUTWARD)
        )
        return ReplayResult(inward, outward, bytes(sequence), seconds)

    def _judge(self, interpreter: Interpreter, frame: bytes, time_ns: int) -> Answer:
        hook = self._programs[INWARD].hook
        self._host.time_ns = time_ns
        packet = PacketMemory(frame, headroom=SCRATCH_HEADROOM, tailroom=SCRATCH_TAILROOM)
        return hook.answer(interpreter.run(Context(hook, self._host, packet)) & 0xFFFFFFFF)

    def rule_counts(self) -> Mapping[str, Count]:
        if self._rules is None:
            return {}
        counters = self._maps[self._rules.counters]
        counts = {}
        for rule in self._rules.counted:
            value = counters.lookup(struct.pack("=I", rule.index))
            counts[rule.id] = Count(*COUNTER.unpack(value)) if value is not None else Count()
        return counts

    def parse_errors(self) -> Mapping[str, int]:
        return {} if self._rules is None else _parse_errors(self._rules, self._maps[self._rules.parse_errors].lookup)

    def close(self) -> None:
        """Nothing outlives it."""


def _parse_errors(rules: CompiledRules, lookup: Callable[[bytes], bytes | bytearray | None]) -> dict[str, int]:
    return {
        reason: int.from_bytes(lookup(struct.pack("=I", index)) or b"", "little")
        for index, reason in enumerate(rules.parse_error_reasons)
    }


ENGINES: Mapping[str, type[NativeReplay] | type[InterpretedReplay]] = {
    "jit": NativeReplay,
    "interpreter": InterpretedReplay,
}
