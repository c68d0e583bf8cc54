"""Rules at work: what their object is told of callers, which rule decided, and how often each did.

call ── facts of the caller ──> map `callers` ── program ──> map `decided` ── Judgement, with the rule's id
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from appliance.api import Loaded, Object, open_object
from appliance.guard.addresses import SocketAddress
from appliance.guard.callers import Caller
from appliance.guard.facts import FactsOfCallers
from appliance.guard.hooks import Call
from appliance.guard.judge import Judge, Judgement, Socket
from appliance.guard.programs import programs_of
from appliance.rules.sockets.layout import CALLERS, COUNTERS, DECIDED, CompiledGuard, GuardCount

_INDEX, _COUNT, _THREAD = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=Q")


def open_rules(compiled: CompiledGuard) -> Object:
    """The object of compiled rules, to be loaded."""
    return open_object(compiled.object, platform="linux")


class RulesJudge(Judge):
    """Asks the programs of compiled rules. Any thread."""

    def __init__(self, loaded: Loaded, compiled: CompiledGuard) -> None:
        """`loaded` is the object of those rules. Raises CannotRun if nothing here can say what they ask of callers."""
        super().__init__(programs_of(loaded, [program.name for program in compiled.programs]))
        self._compiled = compiled
        self._maps = loaded.maps
        self._facts = FactsOfCallers(compiled.facts) if compiled.facts else None
        for name, entries in compiled.contents.items():
            for key, value in entries:
                loaded.maps[name].update(key, value)

    def judge(self, call: Call, caller: Caller, socket: Socket, address: SocketAddress) -> Judgement:
        """As programs say, in the name of the rule that decided."""
        thread = _THREAD.pack(caller.process << 32 | caller.thread)
        if self._facts:
            self._maps[CALLERS].update(thread, _COUNT.pack(self._facts.of(caller)))
        judgement = super().judge(call, caller, socket, address)
        if judgement.program is None:
            return judgement
        number = self._maps[DECIDED].lookup(thread)
        return replace(judgement, program=self._compiled.rules[_INDEX.unpack(number)[0]]) if number else judgement

    def counts(self) -> Mapping[GuardCount, int]:
        """How many calls each rule has matched, by call and verdict; each is there from the start."""
        counters = self._maps[COUNTERS]
        return {
            count: sum(
                _COUNT.unpack(value)[0] for index in count.indices for value in counters.lookup_all(_INDEX.pack(index))
            )
            for count in self._compiled.counts
        }
