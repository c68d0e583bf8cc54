"""A compiled rule set in our own engines, frame by frame: the twins of `tests.appliance.rules.kernel.KernelRules`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import COUNTER
from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.platform import PLATFORMS
from appliance.helpers.model.table import python_helpers
from appliance.helpers.native.call import Clock
from appliance.helpers.services import RuntimeServices
from appliance.jit.collection import Collection
from appliance.maps.model.models import model
from appliance.rules import CompiledRules
from appliance.verifier.verifier import Verifier
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.jit.support import Frame, run_loaded, run_loops

HEADROOM, TAILROOM = 256, 320  # as much as Linux has, and the interpreter
NAMES = {"in": "tidegate_in", "out": "tidegate_out"}


class Lookup(Protocol):
    """What both kinds of maps can do."""

    def lookup(self, key: bytes) -> bytes | bytearray | None: ...


class Rules:
    """What the engines have in common: counters by name, as the kernel's twin gives them."""

    def __init__(self, compiled: CompiledRules) -> None:
        self.compiled = compiled
        self.spec = FilterSpec.of_rules(compiled, "rules.yaml").spec
        self.maps: Mapping[str, Lookup] = {}
        self.out = b""  # what the last frame was behind the program
        self.services = RuntimeServices.reproducible()

    def _value(self, map_: str, index: int, layout: struct.Struct) -> tuple[int, ...]:
        value = self.maps[map_].lookup(struct.pack("<I", index))
        assert value is not None
        numbers: tuple[int, ...] = layout.unpack(value)
        return numbers

    def packets(self) -> dict[str, int]:
        return {c.id: self._value(self.compiled.counters, c.index, COUNTER)[0] for c in self.compiled.counted}

    def bytes(self) -> dict[str, int]:
        return {c.id: self._value(self.compiled.counters, c.index, COUNTER)[1] for c in self.compiled.counted}

    def errors(self) -> dict[str, int]:
        reasons = enumerate(self.compiled.parse_error_reasons)
        one = struct.Struct("<Q")
        return {reason: self._value(self.compiled.parse_errors, index, one)[0] for index, reason in reasons}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NativeRules(Rules):
    """Both programs, verified and compiled with their maps into one module."""

    def __enter__(self) -> NativeRules:
        self._collection = Collection.load(self.spec, programs=NAMES.values(), clock=Clock.FRAME, loops=run_loops)
        self.maps = self._collection.maps
        return self

    def run(self, data: bytes, way: str = "in", time_ns: int = 0) -> str:
        frame = Frame(data, HEADROOM, TAILROOM)
        frame.context.time_ns = time_ns
        self.services.put_into(frame.context)
        answer = run_loaded(self._collection, NAMES[way], frame.context)
        self.out = frame.data
        return XDP_LINUX.answer(answer).value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collection.close()


class InterpretedRules(Rules):
    """Both programs, verified, step by step upon shared maps in Python."""

    def __enter__(self) -> InterpretedRules:
        self.maps = maps = {name: model(declared) for name, declared in self.spec.maps.items()}
        verifier = Verifier(self.spec.maps, PLATFORMS[self.spec.platform])
        programs = {way: verifier.verify(self.spec.programs[name]).spec for way, name in NAMES.items()}
        self._programs = {way: Interpreter(program, maps, python_helpers()) for way, program in programs.items()}
        return self

    def run(self, data: bytes, way: str = "in", time_ns: int = 0) -> str:
        packet = PacketMemory(data)
        context = FrameContext(time_ns=time_ns)
        self.services.put_into(context)
        answer = self._programs[way].run(Context(XDP_LINUX, context, packet))
        self.out = packet.frame
        return XDP_LINUX.answer(answer).value


ENGINES = {"jit": NativeRules, "interpreter": InterpretedRules}
