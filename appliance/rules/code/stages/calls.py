"""Stages as the programs of a rule set call them: global functions that get the context and the record of the frame.

    frame (map) ── struct frame ── other fields ── keys        the parser writes it, stages and rules read it
                        │
                        └── stage(context, frame) ── NEXT, or an XDP action, counted as `ID.ANSWER`

A stage is linked in as the module is emitted (BpfModule.link). Two stages of one file are linked once. One that comes
as an object is called by a tail call, through an array whose place has its number among the stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, PTR, U32, Code, Pointer
from appliance.rules.code import layout
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import Fields
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.model import Action, Direction, Mode, Place, RuleSet, Stage
from appliance.rules.stages.bitcode import Bitcode
from appliance.rules.stages.contract import NEXT
from appliance.rules.stages.object_file import ObjectFile
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

WAYS = {Direction.IN: 0, Direction.OUT: 1}
_ANSWERS = {action: XDP_LINUX.number(Verdict[action.name]) for action in layout.ANSWERS}
Leave = Callable[[U32], None]  # writes what ends a judgement that is counted
_SIGNATURE = ir.FunctionType(I32, [PTR, PTR])


class Stages:
    """Writes the calls of one object's stages. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet, count: ir.Function) -> None:
        self.module = module
        self.rules = rules
        self.count = count

    def prepare(self, fields: Fields, cursor: Cursor | None, way: Direction) -> None:
        """Behind the parser: what it knows beside the fields. Without a cursor that is in the record already."""
        if cursor:
            fields.set(
                layer3=cursor.layer3.get(),
                layer4=cursor.layer4.get(),
                payload=cursor.payload.get(),
                payload_length=cursor.payload_length.get(),
            )
        fields.set(way=WAYS[way])

    def ask(self, code: Code, fields: Fields, record: Pointer, way: Direction, place: Place, leave: Leave) -> None:
        """Every stage of that direction that stands there, one behind the other."""
        for number, stage in enumerate(self.rules.stages):
            if stage.place is place and stage.direction.covers(way):
                self.module.at(code, stage.where)
                if not isinstance(stage.code, Bitcode):
                    self._call(code, fields, number)
                    continue
                answer = self._linked(code, fields, record, stage, stage.code)
                with code.if_(code.compare(answer, "!=", NEXT)):
                    self._answered(code, fields, number, answer, leave)

    def challenge(self, code: Code, fields: Fields, record: Pointer, id_: str) -> U32:
        """What the stage of that id answers, counted; NEXT if it leaves the frame to others. It stands IN_RULES."""
        number, stage = next((number, each) for number, each in enumerate(self.rules.stages) if each.id == id_)
        assert isinstance(stage.code, Bitcode), "an object never comes back"
        answer = self._linked(code, fields, record, stage, stage.code)
        with code.if_(code.compare(answer, "!=", NEXT)):
            self._count(code, fields, number, answer)
        return answer

    def _call(self, code: Code, fields: Fields, number: int) -> None:
        """Its program goes on with the frame, and answers for good; if nobody put it there, the frame goes on here."""
        shape = MapShape(MapType.PROG_ARRAY, 4, 4, len(self.rules.stages))
        programs = self.module.declare_map(layout.CALLED, shape)
        place = ir.Constant(I32, layout.stage_index(self.rules, number, layout.ANSWERS[0]))
        code.call(self.count, place, fields["length"])
        self.module.helper(code, "tail_call", code["context"], programs, number)

    def _linked(self, code: Code, fields: Fields, record: Pointer, stage: Stage, bitcode: Bitcode) -> U32:
        self.module.link(bitcode)
        for name, value in stage.constants.items():
            self.module.constant(name, [(ir.IntType(bitcode.constants[name]), value)])
        fields.set(stage_monitored=int(stage.mode is Mode.MONITOR))
        function = self.module.external(stage.program, _SIGNATURE)
        answer: U32 = code.builder.call(function, [code["context"], record])
        return answer

    def _answered(self, code: Code, fields: Fields, number: int, answer: U32, leave: Leave) -> None:
        if self.rules.stages[number].mode is Mode.MONITOR:
            with code.if_(code.compare(fields["monitored"], "==", 0)):
                self._count(code, fields, number, answer)
                fields.set(monitored=1)
        else:
            self._count(code, fields, number, answer)
            leave(answer)

    def _count(self, code: Code, fields: Fields, number: int, answer: U32) -> None:
        """Under the answer; what is none of them is counted as a drop, which is what hooks make of it."""
        index: U32 = ir.Constant(I32, layout.stage_index(self.rules, number, Action.DROP))
        for action, number_of_action in _ANSWERS.items():
            place = ir.Constant(I32, layout.stage_index(self.rules, number, action))
            index = code.select(code.compare(answer, "==", number_of_action), place, index)
        code.call(self.count, index, fields["length"])


def state_maps(stages: Sequence[Stage]) -> dict[str, str]:
    """The maps of stages, which a reload hands over: name → what it is to the operator."""
    return {name: f"{stage.id}.{name}" for stage in stages for name in _maps(stage.code)}


def _maps(code: Bitcode | ObjectFile) -> Iterable[str]:
    return code.maps if isinstance(code, Bitcode) else code.spec.maps
