"""Stages that are objects: their programs and maps beside those of the rules that call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.errors import InputRefused
from appliance.rules.code.layout import CALLED, CompiledRules
from appliance.rules.model import Stage
from appliance.rules.stages.object_file import ObjectFile

Named = TypeVar("Named", MapSpec, ProgramSpec)


def with_called(spec: CollectionSpec, rules: CompiledRules) -> CollectionSpec:
    """The specs of a rule set with those of the objects that it calls, and the array that leads to them. What is left
    behind are the names of types, of which each object has its own numbers. Raises InputRefused for a name that two of
    them have."""
    for number, stage in rules.called.items():
        assert isinstance(stage.code, ObjectFile)
        theirs = stage.code.spec
        array = spec.maps[CALLED]
        maps = {
            **spec.maps,
            CALLED: replace(array, values=(*array.values, (number, stage.program))),
            **dict(_apart(stage, spec.maps, theirs.maps, "map", {"key_type": 0, "value_type": 0})),
        }
        programs = dict(_apart(stage, spec.programs, theirs.programs, "program", {"function_types": {}}))
        spec = replace(spec, maps=maps, programs={**spec.programs, **programs})
    return spec


def _apart(
    stage: Stage, ours: Mapping[str, Named], theirs: Mapping[str, Named], what: str, without: Mapping[str, object]
) -> Iterator[tuple[str, Named]]:
    for name, found in theirs.items():
        if name in ours:
            taken = f"the object's {what} {name!r} is called as one of the rules' is"
            raise InputRefused(taken, where=stage.where, hint="rename it in the object")
        yield name, replace(found, **without)  # type: ignore[arg-type]
