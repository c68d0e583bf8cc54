"""Structures of functions of the kernel that programs may take the place of. Verified, never run here.

    SEC("struct_ops/…") u32 ssthresh(struct sock *sk)          a member's arguments are the context
    SEC(".struct_ops") struct tcp_congestion_ops reno = { .ssthresh = (void *)ssthresh, … }

Which members there are is in the kernel's types (`ebpf.targets`). Sources: the `struct bpf_struct_ops` of Linux
(net/ipv4/bpf_tcp_ca.c, net/bpf/bpf_dummy_struct_ops.c) and kernel/bpf/bpf_struct_ops.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hooks.contracts.contract import ContextLayout, HookPoint, Writable
from hooks.contracts.kernel_only import kernel_only_hook

OPERATIONS_PROGRAM = 27  # BPF_PROG_TYPE_STRUCT_OPS
SLEEPABLE_OPERATIONS = "struct_ops.s"
SECTIONS = ("struct_ops", "struct_ops/", SLEEPABLE_OPERATIONS, f"{SLEEPABLE_OPERATIONS}/")
PLACES = (".struct_ops", ".struct_ops.link")  # the sections of the structures


@dataclass(frozen=True, slots=True)
class WritableMember:
    """A member that programs may write, at its start; or, if `inside`, anywhere in it. `path` begins at a structure
    that stands at the start of the one that the argument points to. Without a path, it is all of the structure."""

    structure: str
    path: tuple[str, ...] = ()
    inside: bool = False


@dataclass(frozen=True, slots=True)
class StructOps:
    """What is known of one structure of functions. `promoted` are arguments that are known to be more than they are
    declared as; `missing` are members that no program may take the place of."""

    families: tuple[str, ...] = ("base",)
    promoted: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[str, tuple[WritableMember, ...]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def at(
        self,
        name: str,
        context: ContextLayout,
        member: int,
        writable: tuple[Writable, ...],
        *,
        void: bool,
        sleepable: bool,
    ) -> HookPoint:
        """The place of a member, whose number is `member`."""
        return kernel_only_hook(
            f"struct_ops/{name}",
            OPERATIONS_PROGRAM,
            (),
            context,
            self.families,
            attach_type=member,
            ignores_return=void,
            writable=writable,
            sleepable=sleepable,
        )


_TCP = "tcp_sock"
_CONGESTION = StructOps(
    families=("base", "congestion", "sockets_by_pointer"),
    promoted={"sock": _TCP},
    writable={
        _TCP: (
            WritableMember("sock", ("sk_pacing_rate",)),
            WritableMember("sock", ("sk_pacing_status",)),
            WritableMember("inet_connection_sock", ("icsk_ca_priv",), inside=True),
            WritableMember("inet_connection_sock", ("icsk_ack", "pending")),
            *(
                WritableMember(_TCP, (name,))
                for name in ("snd_cwnd", "snd_cwnd_cnt", "snd_cwnd_stamp", "snd_ssthresh", "ecn_flags", "app_limited")
            ),
        )
    },
    missing=frozenset({"get_info"}),
)
_DUMMY_STATE = "bpf_dummy_ops_state"

# By the structure's name; what is not here has the helpers that every program has, and writes nothing.
STRUCT_OPS: Mapping[str, StructOps] = {
    "tcp_congestion_ops": _CONGESTION,
    "bpf_dummy_ops": StructOps(writable={_DUMMY_STATE: (WritableMember(_DUMMY_STATE, inside=True),)}),
}
