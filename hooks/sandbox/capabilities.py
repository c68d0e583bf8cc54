"""Giving privilege up, for good: capabilities, the user, and every way to get them back.

    bounding set       what an executed file could give             emptied
    secure bits        root's own ways to capabilities              closed and locked
    user and groups    another one's, with no further groups        if one is given
    ambient set        what survives execve                         emptied
    permitted, effective, inheritable                               exactly what is kept
    no_new_privs       set-user-ID, file capabilities               never again

The kernel keeps all this by *thread*: so it is done by the only one, before others begin, and they and all children
inherit it. Afterwards it is read from /proc and compared, as a half of it would look like the whole.

A change of the user makes the process undumpable (no core file; others of that user can't trace it) and makes the
kernel forget PR_SET_PDEATHSIG: what must end with its parent says so again behind this.

Sources: capabilities(7), PR_SET_SECUREBITS(2const), commit_creds in kernel/cred.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hooks.errors import HookError, PrivilegeError
from hooks.linux import capability as kernel
from hooks.linux.prctl import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECUREBITS,
    prctl,
)

_SECURE_BITS = kernel.SECBIT_KEEP_CAPS_LOCKED | kernel.locked(
    kernel.SECBIT_NOROOT | kernel.SECBIT_NO_SETUID_FIXUP | kernel.SECBIT_NO_CAP_AMBIENT_RAISE
)
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process is to be: numbers of a user and of its only group."""

    user: int
    group: int


NOBODY = Account(65534, 65534)


@dataclass(frozen=True, slots=True)
class Privileges:
    """What a thread may do, by numbers of capabilities. `users` and `groups` are the real, effective, saved and file
    system ones, and with `groups` the further ones."""

    users: frozenset[int]
    groups: frozenset[int]
    inheritable: frozenset[int]
    permitted: frozenset[int]
    effective: frozenset[int]
    bounding: frozenset[int]
    ambient: frozenset[int]
    no_new_privileges: bool

    @classmethod
    def of(cls, thread: int | str = "thread-self") -> Self:
        """As /proc tells now of that thread, or process. Raises OSError if there is none."""
        told = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{thread}/status").read_text(), re.MULTILINE))
        users, groups, further = (frozenset(map(int, told[name].split())) for name in ("Uid", "Gid", "Groups"))
        return cls(
            users=users,
            groups=groups | further,
            inheritable=_numbers(told["CapInh"]),
            permitted=_numbers(told["CapPrm"]),
            effective=_numbers(told["CapEff"]),
            bounding=_numbers(told["CapBnd"]),
            ambient=_numbers(told["CapAmb"]),
            no_new_privileges=told["NoNewPrivs"] == "1",
        )

    def problem(self, keep: Set[int], account: Account | None) -> str | None:
        """In words, what is left of privilege beyond `keep` and `account`; None if nothing is."""
        for name in ("inheritable", "permitted", "effective", "bounding", "ambient"):
            if left := getattr(self, name) - (keep if name in ("permitted", "effective", "bounding") else set()):
                return f"the {name} set still has the capabilities {sorted(left)}"
        if account and (self.users != {account.user} or self.groups != {account.group}):
            return f"it is still of the users {sorted(self.users)} and the groups {sorted(self.groups)}"
        return None if self.no_new_privileges else "it may still gain privileges by execve"


def drop_privileges(keep: Set[int] = frozenset(), *, account: Account | None = None) -> None:
    """Keep these capabilities and no others, as that account if one is given. There is no way back.

    To be called by the only thread of a process. A process without CAP_SETPCAP has no way to empty its bounding set:
    it gives up what it has, and no_new_privs keeps it from using that set. Raises HookError or PrivilegeError; the
    process must not go on then.
    """
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        raise HookError(f"{threads} threads run, and privileges are given up by one", hint="do it before they start")
    before = Privileges.of()
    try:
        if may_shrink := kernel.CAP_SETPCAP in before.effective:
            for number in range(int(_LAST_CAPABILITY.read_text()) + 1):
                if number not in keep:
                    prctl(PR_CAPBSET_DROP, number)
            prctl(PR_SET_SECUREBITS, _SECURE_BITS)
        if account is not None:
            _become(account)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        kernel.capset(keep)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        raise PrivilegeError(f"privileges can't be given up: {error.strerror}", hint="run as root") from error
    unused = frozenset[int]() if may_shrink else before.bounding
    if problem := Privileges.of().problem(keep | unused, account):
        raise HookError(f"privileges are not given up: {problem}")


def _become(account: Account) -> None:
    if os.getgroups():
        os.setgroups([])
    os.setresgid(*(account.group,) * 3)
    os.setresuid(*(account.user,) * 3)


def _numbers(hexadecimal: str) -> frozenset[int]:
    bits = int(hexadecimal, 16)
    return frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)
