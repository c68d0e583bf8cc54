"""Structures of the kernel, to which a program has pointers: what may be read of them, and what is read.

    TRUSTED     was given to the program, or is marked as good in what was: it is there while the program runs
    TYPED       was read from there: it may be null, or gone; the kernel catches a load through it, and 0 is loaded
    UNTRUSTED   the same, and no helper takes it: programs that may sleep read those, and whoever reads out of a union
    ADDRESS     was read as a pointer to anything but a structure

Source: check_ptr_to_btf_access of kernel/bpf/verifier.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.ebpf.btf.kernel_types import KernelType, KernelTypes, Trust
from appliance.ebpf.btf.structure_walk import NoSuchPlace, WalkResult
from appliance.ebpf.object_errors import ObjectError
from appliance.verifier.domains import scalar
from appliance.verifier.domains.values import Kind, Pointer, Value
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation

if TYPE_CHECKING:
    from appliance.verifier.state.environment import Environment

_GIVE_TYPES = "say which kernel it is for: `--btf FILE`, such as its /sys/kernel/btf/vmlinux"
_UNREADABLE = frozenset({"user", "percpu"})  # pointers to other memory than the kernel's own, of one processor


def kernel_types(environment: Environment) -> KernelTypes:
    """The types of the kernel that the program is for. Violates if nobody knows them."""
    if environment.spec.kernel is None:
        raise Violation(
            Rejection.KERNEL_TYPES_MISSING,
            "needs types of a kernel (BTF), of which there are none here",
            _GIVE_TYPES,
            unsupported=True,
        )
    return environment.spec.kernel


def named_structure(environment: Environment, name: str) -> KernelType:
    """The structure of that name. Violates if the kernel has none."""
    try:
        found = kernel_types(environment).structure(name)
    except ObjectError as error:
        raise Violation(
            Rejection.KERNEL_TYPES_MISSING, f"needs the kernel's `{name}`, and {error.what}", unsupported=True
        ) from None
    if found is None:
        raise Violation(
            Rejection.KERNEL_TYPES_MISSING,
            f"needs the kernel's `{name}`, which these types do not have",
            _GIVE_TYPES,
            unsupported=True,
        )
    return found


def demand_member(environment: Environment, pointer: Pointer, offset: int, size: int) -> WalkResult:
    """What a load of `size` bytes finds, `offset` bytes from the pointer. Violates if it finds nothing."""
    assert pointer.type is not None
    if pointer.variable.constant is None:
        raise Violation(
            Rejection.KERNEL_ACCESS,
            f"reads a `{pointer.type.name}` of the kernel at an offset that is not a constant",
            "copy the memory to the stack with probe_read_kernel, which takes any address",
        )
    try:
        return kernel_types(environment).load(pointer.type, pointer.least + offset, size)
    except NoSuchPlace as no:
        raise Violation(
            Rejection.KERNEL_ACCESS,
            f"reads {size} bytes at byte {pointer.least + offset} of a `{pointer.type.name}` of the kernel, {no}",
            "let the object ask where the member is: declare the structure with "
            "`__attribute__((preserve_access_index))`",
        ) from None
    except ObjectError as error:
        raise Violation(
            Rejection.KERNEL_ACCESS, f"reads a `{pointer.type.name}`, whose type makes no sense: {error.what}"
        ) from None


def is_writable(environment: Environment, pointer: Pointer, offset: int, size: int) -> bool:
    """Whether the program's hook lets it write there: a member that it names, of what is there for certain."""
    if pointer.kind is not Kind.TRUSTED or pointer.type is None or pointer.variable.constant is None:
        return False
    place = pointer.least + offset
    return any(each.takes(pointer.type.number, place, size) for each in environment.spec.hook.writable)


def loaded(environment: Environment, pointer: Pointer, offset: int, size: int) -> Value:
    """What the load gives, which was demanded before."""
    found = demand_member(environment, pointer, offset, size)
    if not found.is_pointer or found.tags & _UNREADABLE:
        return scalar.unknown(size)
    if not found.target:
        return Pointer(Kind.ADDRESS)
    kind = _kind_of(environment, pointer, found)
    name = environment.fresh() if kind is Kind.TRUSTED_OR_NULL else 0
    return Pointer(kind, id=name, type=kernel_types(environment).named(found.target))


def _kind_of(environment: Environment, holder: Pointer, found: WalkResult) -> Kind:
    """How well the pointer is known that stands in what `holder` points to."""
    sleepable = environment.spec.hook.sleepable
    if holder.kind is Kind.TRUSTED:
        trust = kernel_types(environment).trust_of(holder.type, found) if holder.type is not None else None
        if trust is Trust.TRUSTED or (trust is Trust.WHILE_READ and not sleepable):
            return Kind.TRUSTED
        if trust is Trust.TRUSTED_OR_NULL or (
            not sleepable and (trust is Trust.WHILE_READ_OR_NULL or "rcu" in found.tags)
        ):
            return Kind.TRUSTED_OR_NULL
    if holder.kind is Kind.UNTRUSTED or found.in_union or (holder.kind is Kind.TRUSTED and sleepable):
        return Kind.UNTRUSTED
    return Kind.TYPED


def is_structure(environment: Environment, pointer: Pointer, name: str) -> bool:
    """Whether what the pointer points to is, or begins with, the structure of that name."""
    if pointer.type is None or pointer.variable.constant is None or pointer.least < 0:
        return False
    wanted = named_structure(environment, name)
    return kernel_types(environment).struct_ids_match(pointer.type, pointer.least, wanted)
