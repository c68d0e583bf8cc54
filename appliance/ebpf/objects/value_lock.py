"""The lock in a map's value: where its type has a `struct bpf_spin_lock` (kernel/bpf/btf.c, btf_parse_fields).

    struct counter { __u64 packets; struct bpf_spin_lock lock; }        the lock is at byte 8

It must be a member of the value's structure itself, and there may be one. Other things that the kernel keeps in values
and lets nobody write (timers, lists, pointers of its own) are not there.
"""

from __future__ import annotations

from appliance.ebpf.btf.btf import Btf, BtfType, Kind, Member
from appliance.ebpf.object_errors import ObjectError, UnsupportedObject
from appliance.ebpf.spec import LOCK_SIZE

_NAME = "bpf_spin_lock"
_KEPT = frozenset(
    {"bpf_timer", "bpf_wq", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"}
)
_TAGS = frozenset({"kptr", "kptr_ref", "kptr_untrusted", "percpu_kptr", "uptr"})


def find_lock(btf: Btf, value_type: int, where: str) -> int | None:
    """The lock's offset in bytes, None if the value has none. Raises ObjectError for a lock that can't be one."""
    structure = btf.resolve(value_type)
    if structure.kind is not Kind.STRUCT:
        return None
    members = (member for member in structure.entries if isinstance(member, Member))
    locks = [member.bit_offset for member in members if _is_lock(btf, member.type)]
    if len(locks) > 1:
        raise ObjectError("the value has more than one lock", where=where)
    if locks and locks[0] % (8 * LOCK_SIZE):
        raise ObjectError(f"the lock in the value is at bit {locks[0]}", where=where, hint="align it to 4 bytes")
    return locks[0] // 8 if locks else None


def refuse_kept(btf: Btf, value_type: int, where: str) -> None:
    """Raises UnsupportedObject for a value with something in it that is the kernel's own."""
    structure = btf.resolve(value_type)
    for member in structure.entries if structure.kind is Kind.STRUCT else ():
        if isinstance(member, Member) and _is_kept(btf, btf.resolve(member.type)):
            what = f"`{member.name}` in the map's value is for a kernel alone: no timers, lists or kernel pointers here"
            raise UnsupportedObject("kept values", what, where=where, hint="keep numbers instead")


def _is_kept(btf: Btf, found: BtfType) -> bool:
    if found.kind is Kind.PTR:
        tag = btf.type(found.target)
        return tag.kind is Kind.TYPE_TAG and tag.name in _TAGS
    return found.kind is Kind.STRUCT and found.name in _KEPT


def _is_lock(btf: Btf, type_: int) -> bool:
    found = btf.resolve(type_)
    return found.kind is Kind.STRUCT and found.name == _NAME and found.size == LOCK_SIZE
