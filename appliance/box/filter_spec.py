"""What a box is to load: the specs of an object, and the same as whoever proves it elsewhere is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.box.approval.container import ApprovedFile, is_approved_file
from appliance.box.called import called_by, with_called
from appliance.box.config import BoxConfig, ProgramConfig
from appliance.box.frame_programs import in_both_directions
from appliance.box.proving.request import BuildRequest, CalledObject, ObjectFile
from appliance.ebpf.objects.objects import load_object, read_file
from appliance.ebpf.spec import CollectionSpec
from appliance.errors import InputRefused, SourceLine
from appliance.rules.code.compile import INWARD_PROGRAM, OUTWARD_PROGRAM, compile_rule_set
from appliance.rules.code.layout import CompiledRules
from appliance.rules.code.redirects import stand_ins
from appliance.rules.model import Stage
from appliance.rules.stages.object_file import ObjectFile as StageObject
from hooks.contracts.contract import HookPoint


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """What to load: an object's specs, the names of its two programs, and the rules it was made of, if any.

    `asked` is the same as a prover is asked for it, by the bytes of the objects, but for the number of workers;
    `approved` the approval that the object came with."""

    spec: CollectionSpec
    inward: str
    outward: str
    asked: BuildRequest
    rules: CompiledRules | None = None
    approved: ApprovedFile | None = None

    @property
    def hook(self) -> HookPoint:
        """What the programs' answers mean: the numbers of verdicts differ from platform to platform."""
        return self.spec.programs[self.inward].hook

    @property
    def state_maps(self) -> Iterable[str]:
        """The maps whose contents belong to rules, or to somebody's own program, and not to one generation."""
        return self.spec.maps if self.rules is None else self.spec.maps.keys() & set(self.rules.state_maps)

    @classmethod
    def of(cls, config: BoxConfig) -> FilterSpec:
        """Compile the rule set, or read the object. Raises InputRefused."""
        if config.program is not None:
            return cls.of_object(config.program)
        assert config.rules is not None
        return cls.of_rules(compile_rule_set(config.rules), str(config.path))

    @classmethod
    def of_rules(cls, rules: CompiledRules, source: str) -> FilterSpec:
        """A compiled rule set by the road of every object: bytes, loader, specs."""
        spec = with_called(load_object(rules.object, source), called_by(rules))
        contents = {**rules.contents, **stand_ins(rules.exits)}
        filled = {
            name: replace(declared, contents=contents.get(name, declared.contents))
            for name, declared in spec.maps.items()
        }
        called = tuple(_called_object(*each) for each in rules.called.items())
        asked = BuildRequest(ObjectFile(source, rules.object), INWARD_PROGRAM, OUTWARD_PROGRAM, 1, called)
        return cls(replace(spec, maps=filled), INWARD_PROGRAM, OUTWARD_PROGRAM, asked, rules)

    @classmethod
    def of_object(cls, program: ProgramConfig) -> FilterSpec:
        """Somebody's own object, or one that comes with its approval; frames from inside pass if it has no program for
        them. Raises InputRefused."""
        data, source = read_file(program.path), str(program.path)
        if is_approved_file(data):
            approved = ApprovedFile.of_bytes(data, source)
            wanted = approved.request
            inward, outward = program.inward or wanted.inward, program.outward or wanted.outward
            spec, both = in_both_directions(load_object(wanted.object.data, source), inward, outward)
            return cls(spec, inward, both, replace(wanted, inward=inward, outward=outward), None, approved)
        spec = load_object(data, source)
        inward = program.inward or _only(spec, program.path)
        asked = BuildRequest(ObjectFile(source, data), inward, program.outward, 1)
        spec, outward = in_both_directions(spec, inward, program.outward)
        return cls(spec, inward, outward, asked)


def _called_object(number: int, stage: Stage) -> CalledObject:
    assert isinstance(stage.code, StageObject)
    where = stage.where if isinstance(stage.where, SourceLine) else None
    return CalledObject(number, stage.program, ObjectFile(stage.code.file, stage.code.data), where)


def _only(spec: CollectionSpec, path: Path) -> str:
    names = [name for name, program in spec.programs.items() if program.hook.judges_frames]
    if len(names) != 1:
        choose = f"name one (`inward` in a box, `--program` in a replay): {', '.join(names)}"
        hint = choose if names else "it holds no XDP program"
        raise InputRefused(f"the object holds {len(names)} programs", where=str(path), hint=hint)
    return names[0]
