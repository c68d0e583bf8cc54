"""Where programs are attached: functions and tracepoints, found by name in the kernel's types.

Sources: check_attach_btf_id of kernel/bpf/verifier.c, btf_distill_func_proto and btf_ctx_access of kernel/bpf/btf.c.
"""

from __future__ import annotations

from appliance.ebpf.btf.btf import COMPOSITES, ENUMS, Btf, BtfType, Kind, Parameter
from appliance.ebpf.btf.structure_walk import pointee
from appliance.ebpf.btf.typed_contexts import (
    NULLABLE,
    POINTERS,
    UnknownTarget,
    context_of,
    parameters_of,
    returns_nothing,
)
from hooks.contracts import lsm
from hooks.contracts.contract import FieldKind, HookPoint
from hooks.contracts.typed import (
    ERROR_ARGUMENTS,
    ITERATED_TRUSTED,
    ITERATED_WHOLE,
    MAP_ITERATORS,
    NULLABLE_ARGUMENTS,
    TypedHook,
)

MAX_ARGUMENTS = 12  # MAX_BPF_FUNC_ARGS
LARGEST_ARGUMENT = 16  # bytes, in two registers
_HANDED_ON = {Kind.INT, Kind.PTR, *ENUMS, *COMPOSITES}
_SECURITY = "bpf_lsm_"
_ITERATOR = "bpf_iter__"  # before the name of what an iterator gives, as a structure


def hook_at(hook: TypedHook, target: str, types: Btf) -> HookPoint:
    """The place of that name. Raises UnknownTarget, and ObjectError for types that make no sense."""
    name = hook.prefix + target
    prototype = _prototype(hook, target, types)
    unseen = 1 if hook.traced else 0  # a tracepoint's own data
    context = context_of(types, _Kinds(hook, target, types), name, prototype, skip=unseen, result=hook.result)
    return hook.at(target, context, void=returns_nothing(types, prototype))


def _prototype(hook: TypedHook, target: str, types: Btf) -> BtfType:
    """The type of the function, or of those that are called at the tracepoint."""
    name = hook.prefix + target
    number = types.find(Kind.TYPEDEF, name) if hook.traced else types.function(name)
    if number is None or (hook.iterates and types.find(Kind.STRUCT, f"{_ITERATOR}{target}") is None):
        raise UnknownTarget(f"these types have no {'tracepoint' if hook.traced else 'function'} `{name}`")
    pointer = types.resolve(number) if hook.traced else types.type(number)
    prototype = types.resolve(pointer.target)
    if prototype.kind is not Kind.FUNC_PROTO or not hook.takes(target) or not _is_attachable(types, prototype, hook):
        raise UnknownTarget(f"no program of section `{hook.name}/…` can be attached to `{name}`")
    return prototype


def _is_attachable(types: Btf, prototype: BtfType, hook: TypedHook) -> bool:
    """Whether the kernel can hand the arguments on: there are not too many, each has a size, and none is large."""
    parameters, result = parameters_of(prototype), types.resolve(prototype.target).kind
    if len(parameters) > MAX_ARGUMENTS or result in COMPOSITES or (hook.changes_result and result is not Kind.INT):
        return False
    sized = all(types.resolve(parameter.type).kind in _HANDED_ON for parameter in parameters)
    return sized and all(types.size_of(parameter.type) <= LARGEST_ARGUMENT for parameter in parameters)


class _Kinds:
    """The pointers that a function or a tracepoint is given."""

    def __init__(self, hook: TypedHook, target: str, types: Btf) -> None:
        self._hook = hook
        self._target = target
        self._types = types

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""
        buffer = self._buffer(parameter.name)
        if buffer is not None:
            return buffer, 0
        structure, _ = pointee(self._types, pointer)
        if self._types.type(structure).kind not in COMPOSITES or index in ERROR_ARGUMENTS.get(self._name, ()):
            return FieldKind.SCALAR, 0
        return POINTERS[self._is_trusted(parameter.name), self._may_be_null(index, parameter.name)], structure

    @property
    def _name(self) -> str:
        """The tracepoint, for those tables that are about tracepoints."""
        return self._target if self._hook.traced else ""

    def _buffer(self, name: str) -> FieldKind | None:
        if not self._hook.iterates or self._target not in MAP_ITERATORS:
            return None
        return {"key": FieldKind.READ_ONLY_BUFFER_OR_NULL, "value": FieldKind.BUFFER_OR_NULL}.get(name)

    def _is_trusted(self, name: str) -> bool:
        if self._hook.iterates and self._may_be_null(0, name):
            return (self._target, name) in ITERATED_TRUSTED
        return self._hook.trusted and not (self._hook.prefix == _SECURITY and self._target in lsm.UNTRUSTED)

    def _may_be_null(self, index: int, name: str) -> bool:
        if self._hook.iterates:
            return name not in ITERATED_WHOLE and not (name == "map" and self._target in MAP_ITERATORS)
        return name.endswith(NULLABLE) or index in NULLABLE_ARGUMENTS.get(self._name, ())
