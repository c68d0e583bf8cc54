"""Hooks that only a kernel has, and that never run here: laid out as the header says, with known groups of helpers."""

from __future__ import annotations

import pytest

from appliance.ebpf.platform import LINUX, PLATFORMS
from appliance.helpers.kernel.groups import GROUPS, OWN_NUMBERS, callable_names, numbering
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE, KERNEL_FAMILY, KERNEL_PROTOTYPES
from appliance.helpers.prototypes import PROTOTYPES
from appliance.helpers.unsupported import UNSUPPORTED
from hooks.contracts.cgroup import SOCKET, TCP_SOCKET
from hooks.contracts.contract import ContextLayout, HookPoint
from tests.appliance.ebpf.compiling import compile_alone

# Hooks that run here, as a kernel has them.
IN_KERNEL = tuple(hook.in_kernel for hook in LINUX.hooks if hook.in_kernel is not None)
KERNEL_ONLY = (*LINUX.kernel_only, *IN_KERNEL)

every_hook = pytest.mark.parametrize("hook", KERNEL_ONLY, ids=lambda hook: hook.name)
IN_THE_HEADER = sorted(
    {hook.context.name: hook.context for hook in KERNEL_ONLY if hook.context.name.startswith(("bpf_s", "__sk", "sk_"))}
    | {"bpf_sock": SOCKET, "bpf_tcp_sock": TCP_SOCKET}
)
YOUNG = {"hwtstamp", "tstamp_type", "skb_hwtstamp"}  # younger than some machines' headers
LAYOUTS = [SOCKET, TCP_SOCKET, *{id(hook.context): hook.context for hook in KERNEL_ONLY}.values()]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_fields_lie_where_the_header_has_them(layout: ContextLayout) -> None:
    for field in layout.fields:
        assert 0 <= field.offset < field.offset + field.size <= layout.size
    if layout.name not in IN_THE_HEADER:
        return
    claims = [
        f"__builtin_offsetof(struct {layout.name}, {field.name}) == {field.offset}"
        for field in layout.fields
        if field.name not in YOUNG
    ]
    asserted = "".join(f'_Static_assert({claim}, "{claim}");\n' for claim in claims)
    assert compile_alone("#include <linux/bpf.h>\n" + asserted)


@every_hook
def test_a_kernel_only_hook_never_runs(hook: HookPoint) -> None:
    assert not hook.runs_here
    assert hook.families <= GROUPS.keys()
    assert hook.any_return or min(hook.verdicts) == 0 or hook in IN_KERNEL


def test_what_runs_here_is_known_as_a_kernel_has_it() -> None:
    for hook in LINUX.hooks:
        kernels = hook.in_kernel
        assert kernels is not None
        assert {*hook.context.fields} <= {*kernels.context.fields}
        assert (kernels.name, kernels.verdicts, kernels.attach_type) == (hook.name, hook.verdicts, hook.attach_type)
        mine = {name for name in PROTOTYPES if PROTOTYPES[name].family in hook.families}
        assert mine & {*LINUX.helpers.values()} <= callable_names(kernels) | {"csum_diff"}  # of frames only there
    assert all(hook.in_kernel is None for hook in (*PLATFORMS["windows"].hooks, *LINUX.kernel_only))


def test_sections_lead_to_one_hook() -> None:
    every = (*LINUX.hooks, *LINUX.kernel_only)
    sections = [section for hook in every for section in hook.sections]
    assert len(set(sections)) == len(sections)
    for hook in LINUX.kernel_only:
        assert all(LINUX.hook_for_section(section) is hook for section in hook.sections)
        assert LINUX.hook_for_section(hook.name) is hook
    assert all(platform.kernel_only == () for platform in PLATFORMS.values() if platform is not LINUX)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("socket1", "socket"),
        ("kprobe_open", "kprobe"),
        ("xdp_tx_iptunnel", "xdp"),
        ("sockops1", "sockops"),
        ("sk_skb3", "sk_skb"),
        ("tracepoint_x", "tracepoint"),
        ("raw_tracepoint.w_x", "raw_tracepoint.w"),
        ("from-netdev", None),
    ],
)
def test_names_of_old_begin_with_one_that_is_known(section: str, name: str | None) -> None:
    hook = LINUX.hook_for_legacy_section(section)
    assert (hook.name if hook is not None else None) == name
    assert LINUX.hook_for_section(section) is None
    assert PLATFORMS["windows"].hook_for_legacy_section(section) is None


def test_what_lies_beyond_has_a_reason() -> None:
    assert all(
        LINUX.why_unsupported(section)
        for section in ("fentry/f", "fentry", "lsm.s/bpf", "struct_ops/x", "syscall", "iter/task")
    )
    assert LINUX.why_unsupported("kprobe/f") is None


def test_every_helper_of_a_group_has_a_prototype_and_a_number() -> None:
    named = frozenset[str]().union(*GROUPS.values())
    assert named <= EVERY_PROTOTYPE.keys()
    assert KERNEL_PROTOTYPES.keys() <= named
    assert KERNEL_PROTOTYPES.keys().isdisjoint(PROTOTYPES)
    own = {name for numbers in OWN_NUMBERS.values() for name in numbers.values()}
    assert KERNEL_PROTOTYPES.keys() - own <= {refusal.name for refusal in UNSUPPORTED["linux"].values()}
    assert own <= KERNEL_PROTOTYPES.keys()
    assert GROUPS.keys() >= OWN_NUMBERS.keys()
    assert {prototype.family for prototype in KERNEL_PROTOTYPES.values()} == {KERNEL_FAMILY}
    for hook in KERNEL_ONLY:
        assert named - own <= set(numbering(LINUX, hook).helpers.values())
