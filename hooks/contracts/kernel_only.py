"""Hooks that only a kernel has, and what only a kernel has at others: their contracts are known, so programs can be
verified; none of them runs here.

The contexts have no place in this process's memory, so a field of theirs has guest facts only. `families` of such a
hook name groups of the kernel's helpers (appliance/helpers/kernel/groups.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hooks.contracts.contract import Answer, ContextField, ContextLayout, FieldKind, HookPoint, HostContext

PARTS = (1, 2, 4)  # a 4-byte field that may be read in parts (bpf_ctx_narrow_access_ok of include/linux/filter.h)
LONG_PARTS = (1, 2, 4, 8)


class Number(Answer):
    """What a program answers here, to a kernel alone."""

    KNOWN = "a number that the kernel knows"


def kernel_only_field(
    name: str,
    offset: int,
    size: int,
    *,
    reads: tuple[int, ...],
    writes: tuple[int, ...] = (),
    kind: FieldKind = FieldKind.SCALAR,
) -> ContextField:
    """A field that programs see and this process does not have."""
    return ContextField(name, offset, size, 0, size, kind, reads, writes)


def u32_fields(names: tuple[str, ...], offset: int, reads: tuple[int, ...] = PARTS) -> tuple[ContextField, ...]:
    """Fields of 4 bytes, one behind the other."""
    return tuple(kernel_only_field(name, offset + 4 * index, 4, reads=reads) for index, name in enumerate(names))


def kernel_only_hook(
    name: str,
    program_type: int,
    sections: tuple[str, ...],
    context: ContextLayout,
    families: tuple[str, ...],
    *,
    returns: range | None = None,
    **more: Any,
) -> HookPoint:
    """The contract of a hook of Linux that never runs here; `returns` are those that the kernel takes, None for any."""
    verdicts: Mapping[int, Answer] = dict.fromkeys(returns if returns is not None else (0,), Number.KNOWN)
    return HookPoint(
        name=name,
        platform="linux",
        program_type=program_type,
        sections=sections,
        host=HostContext,
        context=context,
        verdicts=verdicts,
        otherwise=Number.KNOWN,
        families=frozenset(families),
        any_return=returns is None,
        runs_here=False,
        **more,
    )


def with_kernel_contract(
    hook: HookPoint, *families: str, fields: tuple[ContextField, ...] = (), **more: Any
) -> HookPoint:
    """A hook that runs here, and knows itself as a kernel has it (`in_kernel`): with those groups of helpers, and with
    `fields` of the context that nothing in this process could fill in."""
    every = sorted((*hook.context.fields, *fields), key=lambda field: field.offset)
    context = replace(hook.context, fields=tuple(every))
    kernels = replace(hook, context=context, families=frozenset(families), runs_here=False, **more)
    return replace(hook, in_kernel=kernels)
