"""Who is blocked: a map of sources with the time until which nothing of theirs passes, asked before all rules.

    a rule that blocks acts    blocks_KEY[key] = now + `for`, and the digest of the rule's id
    every frame                blocks_KEY[key]: is that still to come, and is there such a rule?  counts as `ID.blocked`

Rules whose `by` is the same share a map, so that a frame costs one lookup however many rules block. A rule is known by
a digest of its id, which a reload doesn't change; whom a rule blocked that isn't there any more is blocked no longer. A
monitored rule blocks as every other one, and whom it blocked is counted and goes on.

The maps give up what was not used lately (LRU), and used is only who comes again after it was blocked: a flood of
forged sources that come once pushes out itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import Pointer
from appliance.rules.code import layout
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.state import keys
from appliance.rules.code.state.memory import Memory
from appliance.rules.model import Direction, Rule, RuleSet
from appliance.rules.remembered import Block

Act = Callable[[Rule, ir.Block], None]  # what becomes of whom a rule blocked; the block where who goes on goes on


class Blocked(ctypes.Structure):
    """A value: until when, in nanoseconds of ktime_get_ns, and the digest of the id of the rule that says so."""

    _fields_ = (("until", ctypes.c_uint64), ("rule", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class _Group:
    """The rules that block by the same key, and their map."""

    name: str
    rules: tuple[tuple[Rule, Block], ...]

    @property
    def shape(self) -> MapShape:
        size, sources = keys.size(self.rules[0][1].by), max(block.sources for _, block in self.rules)
        return MapShape(MapType.LRU_HASH, size, ctypes.sizeof(Blocked), sources)

    @property
    def use(self) -> str:
        """What the map is to the operator."""
        return f"blocks.{','.join(part.name for part in self.rules[0][1].by)}"

    @property
    def longest(self) -> int:
        """Nanoseconds."""
        return max(block.nanoseconds for _, block in self.rules)


class BlockMaps:
    """The maps of one object's blocks. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet) -> None:
        self.rules = rules
        found: dict[str, list[tuple[Rule, Block]]] = {}
        for rule in rules.rules:
            if rule.block is not None:
                found.setdefault(keys.kind(rule.block.by), []).append((rule, rule.block))
        self.groups = tuple(_Group(f"blocks_{kind}", tuple(each)) for kind, each in found.items())
        self.maps: dict[str, Pointer] = {
            group.name: module.declare_map(group.name, group.shape) for group in self.groups
        }

    @property
    def states(self) -> dict[str, str]:
        """What a reload hands over: name → what it is to the operator."""
        return {group.name: group.use for group in self.groups}

    def of(self, block: Block) -> Pointer:
        return self.maps[f"blocks_{keys.kind(block.by)}"]


class Blocks:
    """Writes blocks into one function. For one thread."""

    def __init__(self, memory: Memory, maps: BlockMaps) -> None:
        self.memory = memory
        self.code = memory.code
        self.matching = memory.matching
        self.maps = maps

    def begin(self, rule: Rule, block: Block) -> None:
        """Block whom the frame is of, if it has what makes a key."""
        done = self.matching.block("blocking")
        self._presence(block, done)
        until = self.code.add(self.memory.time(), block.nanoseconds)
        key = self.memory.key_of(block.by)
        self.memory.update(self.maps.of(block), key, until, layout.digest(rule.id))
        self.code.builder.branch(done)
        self.code.builder.position_at_end(done)

    def check(self, way: Direction, act: Act) -> None:
        """Before the rules: of whom is blocked, `act` on the rule that did it."""
        for group in self.maps.groups:
            rules = [(rule, block) for rule, block in group.rules if rule.direction.covers(way)]
            if rules:
                self._check(group, rules, act)

    def _check(self, group: _Group, rules: Iterable[tuple[Rule, Block]], act: Act) -> None:
        code, block = self.code, group.rules[0][1]
        free = self.matching.block("free")
        self._presence(block, free)
        found = self.memory.lookup(self.maps.of(block), self.memory.key_of(block.by), free)
        left = code.sub(code.field(found, Blocked, "until").load(), self.memory.time())
        self.matching.unless(code.compare(left, "<=", group.longest), free)  # past is huge: times are unsigned
        digest = code.field(found, Blocked, "rule").load()
        for rule, _ in rules:
            other = self.matching.block("other")
            self.matching.unless(code.compare(digest, "==", layout.digest(rule.id)), other)
            act(rule, free)
            code.builder.position_at_end(other)
        code.builder.branch(free)
        code.builder.position_at_end(free)

    def _presence(self, block: Block, otherwise: ir.Block) -> None:
        for layer in dict.fromkeys(part.layer for part in block.by):
            self.matching.presence(layer, otherwise)
