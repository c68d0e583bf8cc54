"""Where rules send frames: interfaces that a document names, in maps that whoever runs the programs fills.

    redirects     devmap   number of the interface in the rule set ── its index
    copies_WAY_N  devmap   0 ── where frames that pass this way leave
                           1 ── the interface of that number

A redirected frame leaves by its entry; where there is none, the interface is gone, and the frame is dropped. A mirrored
frame that passes is sent to both entries of its map of copies (BPF_F_BROADCAST), as XDP can't let a frame pass and send
a copy of it too; one that is dropped goes to entry 1 alone. Where entry 0 is missing, nobody has said what passing is,
and the frame passes as if it weren't mirrored.

Sources: bpf_redirect_map in include/uapi/linux/bpf.h; kernel/bpf/devmap.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, U32, U64, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import Fields
from appliance.rules.model import Action, Direction, Mode, RuleSet
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

REDIRECTS = "redirects"
ENTRY_SIZE = 4  # bytes of a key and of a value: a number, an interface index
BROADCAST = 8  # BPF_F_BROADCAST
LOOPBACK = 1  # the index of `lo`, in every network namespace
PEER, TARGET = 0, 1  # entries of a map of copies

_DROP, _PASS = XDP_LINUX.number(Verdict.DROP), XDP_LINUX.number(Verdict.PASS)
_ACTION = 7  # the bits of a verdict

Exit = str | Direction  # an interface by its name, or where frames that go that way leave


class Redirects:
    """The maps of one object, and what sends by them. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet) -> None:
        self.module = module
        self.redirected, self.mirrored = (_targets(rules, action) for action in (Action.REDIRECT, Action.MIRROR))
        self.exits: dict[str, tuple[Exit, ...]] = {}  # what each map must be given, in the order of its entries

    def _declare(self, name: str, exits: tuple[Exit, ...]) -> Pointer:
        self.exits[name] = exits
        return self.module.declare_map(name, MapShape(MapType.DEVMAP, ENTRY_SIZE, ENTRY_SIZE, len(exits)))

    def redirect(self, code: Code, to: str) -> U64:
        """The verdict of a frame that leaves by that interface."""
        map_ = self._declare(REDIRECTS, self.redirected)
        answer = self.module.helper(code, "redirect_map", map_, self.redirected.index(to), _DROP)
        verdict: U64 = code.and_(answer, _ACTION)
        return verdict

    def mirror(self, code: Code, fields: Fields, verdict: U32, way: Direction) -> U32:
        """The verdict of a frame that leaves that way and may have to be copied."""
        answer = code.variable(I32, verdict)
        for number, name in enumerate(self.mirrored, 1):
            with code.if_(code.compare(fields["mirror"], "==", number)):
                map_ = self._declare(f"copies_{way.value}_{number - 1}", (way, name))
                with code.if_(code.compare(verdict, "==", _PASS)):
                    answer.set(self._to_both(code, map_))
                with code.if_(code.compare(verdict, "==", _DROP)):
                    sent = self.module.helper(code, "redirect_map", map_, TARGET, _DROP)
                    answer.set(code.resize(code.and_(sent, _ACTION), I32))
        return answer.get()

    def _to_both(self, code: Code, map_: Pointer) -> U32:
        key = code.buffer(ENTRY_SIZE, align=4)
        code.store(ir.Constant(I32, PEER), key, align=4)
        answer = code.variable(I32, _PASS)
        peer = self.module.helper(code, "map_lookup_elem", map_, key)
        with code.if_(code.compare(code.integer(peer), "!=", 0)):
            sent = self.module.helper(code, "redirect_map", map_, PEER, BROADCAST)
            answer.set(code.resize(code.and_(sent, _ACTION), I32))
        return answer.get()


def _targets(rules: RuleSet, action: Action) -> tuple[str, ...]:
    """What the enforced rules of that action name."""
    acting = (rule for rule in rules.rules if rule.action is action and rule.mode is Mode.ENFORCE)
    return tuple(dict.fromkeys(rule.to for rule in acting if rule.to))


def stand_ins(exits: Mapping[str, tuple[Exit, ...]]) -> dict[str, list[tuple[bytes, bytes]]]:
    """Contents for where there are no interfaces, as in a replay: a redirection is one, whatever it leads to, and
    nothing is copied."""
    count = len(exits.get(REDIRECTS, ()))
    return {REDIRECTS: [(entry(number), entry(LOOPBACK)) for number in range(count)]} if count else {}


def entry(number: int) -> bytes:
    """A key or a value of these maps."""
    return number.to_bytes(ENTRY_SIZE, "little")
