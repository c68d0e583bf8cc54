"""Digests of what a proof relies upon: the tables of hook and helpers, the declarations of maps, the instructions.

    hook.NAME     the hook's contract: context, answers, families of helpers        (hooks/contracts)
    helpers       every helper's prototype, and the platform's number for it        (appliance/helpers, appliance/ebpf)
    map.NAME      one map's declaration; its contents where nobody may change them  (the object)

Whoever proves states them, and whoever is to believe a proof computes them from tables of his own. Each is the SHA-256
of a text in which values stand by type and field, and mappings and sets in the order of their texts, so that equal
values have equal digests in every process.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from appliance.ebpf.isa.codec import encode
from appliance.ebpf.isa.instructions import LoadMap, LoadMapValue
from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.prototypes import PROTOTYPES
from appliance.verifier.program import Facts
from hooks.contracts.contract import HookPoint

HELPERS = "helpers"
HOOK = "hook."
MAP = "map."


def prototypes(platform: Platform, hooks: Iterable[HookPoint], maps: Mapping[str, MapSpec]) -> dict[str, str]:
    """All that a build relies upon, by name."""
    return {
        HELPERS: helpers_digest(platform),
        **{HOOK + hook.name: hook_digest(hook) for hook in hooks},
        **{MAP + name: map_digest(spec) for name, spec in maps.items()},
    }


def hook_digest(hook: HookPoint) -> str:
    """Of a hook's contract. What only a kernel has there is left out: nothing that runs here relies upon it."""
    return digest(replace(hook, in_kernel=None))


def helpers_digest(platform: Platform) -> str:
    """Of all prototypes, and of the numbers by which programs of the platform call them."""
    return digest((platform.name, platform.helpers, platform.family_helpers, PROTOTYPES))


def map_digest(spec: MapSpec) -> str:
    """Of what a map is, whatever it is called. Contents count where nobody may change them."""
    declared = replace(spec, name="", contents=tuple(spec.contents) if spec.read_only else ())
    return digest(replace(declared, inner=None), spec.inner and map_digest(spec.inner))


def bytecode_digest(program: ProgramSpec) -> str:
    """Of a program's instructions as they are encoded, and of the names of the maps that they refer to."""
    names = dict.fromkeys(each.map for each in program.instructions if isinstance(each, LoadMap | LoadMapValue))
    numbers = {name: number for number, name in enumerate(names)}
    return digest(encode(program.instructions, numbers), tuple(names))


def facts_digest(facts: Facts) -> str:
    """Of everything that was proved of a program."""
    return digest(facts)


def digest(*values: object) -> str:
    """The SHA-256 of values made of dataclasses, enumerations, ctypes structures, collections, text and numbers."""
    return hashlib.sha256("".join(_text(values)).encode()).hexdigest()


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, str | bytes):
        return f"{type(value).__name__}{len(value)}:{value if isinstance(value, str) else value.hex()}"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_text(key)}={_text(each)}' for key, each in value.items()))}}}"
    if isinstance(value, frozenset | set):
        return f"{{{','.join(sorted(map(_text, value)))}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, type) and issubclass(value, ctypes.Structure):
        return f"{value.__name__}{_text(tuple(_places(value)))}"
    if is_dataclass(value) and not isinstance(value, type):
        told = (f"{each.name}={_text(getattr(value, each.name))}" for each in fields(value) if each.compare)
        return f"{type(value).__name__}({','.join(told)})"
    raise TypeError(f"{type(value).__name__} has no digest")


def _places(structure: type[ctypes.Structure]) -> Iterator[tuple[str, int, int]]:
    """The fields of a structure, those that it inherits among them: where each is, and how long."""
    for kind in reversed(structure.__mro__):
        for name, *_ in vars(kind).get("_fields_", ()):
            place = getattr(structure, name)
            yield name, place.offset, place.size
