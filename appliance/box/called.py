"""Stages that are objects: their programs and maps beside those of the rules that call them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.errors import InputRefused
from appliance.rules.code.layout import CALLED, CompiledRules
from appliance.rules.stages.object_file import ObjectFile

Named = TypeVar("Named", MapSpec, ProgramSpec)


@dataclass(frozen=True, slots=True)
class Called:
    """An object whose program `program` stands at `number` in the array of programs; `where` is it asked for."""

    number: int
    program: str
    spec: CollectionSpec
    where: object = None


def called_by(rules: CompiledRules) -> Iterator[Called]:
    """The objects that a rule set calls."""
    for number, stage in rules.called.items():
        assert isinstance(stage.code, ObjectFile)
        yield Called(number, stage.program, stage.code.spec, stage.where)


def with_called(spec: CollectionSpec, called: Iterable[Called]) -> CollectionSpec:
    """The specs of a rule set with those of the objects that it calls, and the array that leads to them. What is left
    behind are the names of types, of which each object has its own numbers. Raises InputRefused for a name that two of
    them have."""
    for each in called:
        array = spec.maps[CALLED]
        maps = {
            **spec.maps,
            CALLED: replace(array, values=(*array.values, (each.number, each.program))),
            **dict(_apart(each, spec.maps, each.spec.maps, "map", {"key_type": 0, "value_type": 0})),
        }
        programs = dict(_apart(each, spec.programs, each.spec.programs, "program", {"function_types": {}}))
        spec = replace(spec, maps=maps, programs={**spec.programs, **programs})
    return spec


def _apart(
    each: Called, ours: Mapping[str, Named], theirs: Mapping[str, Named], what: str, without: Mapping[str, object]
) -> Iterator[tuple[str, Named]]:
    for name, found in theirs.items():
        if name in ours:
            taken = f"the object's {what} {name!r} is called as one of the rules' is"
            raise InputRefused(taken, where=each.where, hint="rename it in the object")
        yield name, replace(found, **without)  # type: ignore[arg-type]
