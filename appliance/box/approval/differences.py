"""What a signed claim says otherwise than the build that was given, and by which reason: a row for each field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from appliance.box.approval.reasons import Fault, Reason
from appliance.box.approval.statements.claim import Claim
from appliance.box.proving.prototypes import HELPERS, HOOK, MAP, bytecode_digest, map_digest
from appliance.ebpf.spec import CollectionSpec

_WHOLE = {
    "object": Reason.OBJECT,
    "called": Reason.OBJECT,
    "inward": Reason.REQUEST,
    "outward": Reason.REQUEST,
    "workers": Reason.REQUEST,
    "platform": Reason.PLATFORM,
    "processor": Reason.PROCESSOR,
}
_OF_PROGRAM = {
    "name": Reason.REQUEST,
    "hook": Reason.HOOK,
    "bytecode": Reason.BYTECODE,
    "facts": Reason.FACTS,
    "instructions": Reason.BYTECODE,
    "helpers": Reason.HELPERS,
    "tail_call_maps": Reason.MAP,
    "body": Reason.SYMBOLS,
}
_OF_IMAGE = {"name": Reason.CODE, "code": Reason.CODE, "exports": Reason.SYMBOLS, "symbols": Reason.SYMBOLS}


def differences(signed: Claim, given: Claim) -> Iterator[Fault]:
    """None, if they are the same in every field."""
    for name, reason in _WHOLE.items():
        if getattr(signed, name) != getattr(given, name):
            yield Fault(reason, _told(name, getattr(signed, name), getattr(given, name)))
    yield from _of_each("program", _OF_PROGRAM, signed.programs, given.programs)
    yield from _of_each("image", _OF_IMAGE, signed.images, given.images)
    for name in sorted(signed.prototypes.keys() | given.prototypes.keys()):
        if signed.prototypes.get(name) != given.prototypes.get(name):
            yield Fault(_of_prototype(name), name)
    for name in sorted(signed.versions.keys() | given.versions.keys()):
        if signed.versions.get(name) != given.versions.get(name):
            yield Fault(Reason.VERSION, name)


def of_specs(signed: Claim, spec: CollectionSpec) -> Iterator[Fault]:
    """What the claim says otherwise than the specs of its objects, which whoever makes the maps has read for himself:
    every program's instructions, and the declaration of every map."""
    for program in signed.programs:
        known = spec.programs.get(program.name)
        if known is None:
            yield Fault(Reason.BYTECODE, f"there is no program {program.name}")
        elif bytecode_digest(known) != program.bytecode:
            yield Fault(Reason.BYTECODE, f"program {program.name}")
        elif known.hook.name != program.hook:
            yield Fault(Reason.HOOK, f"program {program.name} is of {known.hook.name}")
    ours = {MAP + name: map_digest(declared) for name, declared in spec.maps.items()}
    theirs = {name: digest for name, digest in signed.prototypes.items() if name.startswith(MAP)}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield Fault(Reason.MAP, name.removeprefix(MAP))


def _of_each(what: str, rows: dict[str, Reason], signed: Iterable[Any], given: Iterable[Any]) -> Iterator[Fault]:
    for number, (one, other) in enumerate(zip_longest(signed, given)):
        if one is None or other is None:
            yield Fault(rows["name"], f"{what} {number + 1} is on one side only")
            return
        for name, reason in rows.items():
            if getattr(one, name) != getattr(other, name):
                yield Fault(reason, f"{what} {one.name}: {name}")


def _of_prototype(name: str) -> Reason:
    if name == HELPERS:
        return Reason.HELPERS
    return Reason.HOOK if name.startswith(HOOK) else Reason.MAP


def _told(name: str, signed: object, given: object) -> str:
    if isinstance(signed, tuple) or len(str(signed)) > 40:
        return name
    return f"{name} {signed}, this one is {given}"
