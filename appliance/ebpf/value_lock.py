"""The lock in a map's value: where its type has a `struct bpf_spin_lock` (kernel/bpf/btf.c, btf_parse_fields).

    struct counter { __u64 packets; struct bpf_spin_lock lock; }        the lock is at byte 8

It must be a member of the value's structure itself, and there may be one.
"""

from __future__ import annotations

from appliance.ebpf.btf import Btf, Kind, Member
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.spec import LOCK_SIZE

_NAME = "bpf_spin_lock"


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


def _is_lock(btf: Btf, type_: int) -> bool:
    found = btf.resolve(type_)
    return found.kind is Kind.STRUCT and found.name == _NAME and found.size == LOCK_SIZE
