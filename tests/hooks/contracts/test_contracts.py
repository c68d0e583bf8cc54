"""Every hook's promise: its layout is the platform's, its fields live in this process, its sections are its own."""

from __future__ import annotations

import ctypes
from itertools import combinations

import pytest

from appliance.ebpf.platform import PLATFORMS
from appliance.helpers.prototypes import PROTOTYPES
from hooks.contracts.contract import ContextField, FieldKind, HookPoint, HostContext, Verdict
from tests.appliance.ebpf.compiling import compile_alone
from tests.hook_programs import FOLDER

HOOKS = [hook for platform in PLATFORMS.values() for hook in platform.hooks]
every_hook = pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook.platform} {hook.name}")
# The types of the platforms' headers, as C sees them.
HEADERS = {"linux": "#include <linux/bpf.h>\n", "windows": f'#include "{FOLDER}/windows_types.h"\n'}


@every_hook
def test_the_layout_is_that_of_the_header(hook: HookPoint) -> None:
    """clang refuses what is not so. `skb_hwtstamp` is younger than some machines' headers."""
    name = hook.context.name
    type_ = name if hook.platform == "windows" else f"struct {name}"
    fields = [field for field in hook.context.fields if field.name != "skb_hwtstamp"]
    claims = [f"sizeof({type_}) {'==' if len(fields) == len(hook.context.fields) else '<='} {hook.context.size}"]
    for field in fields:
        claims.append(f"__builtin_offsetof({type_}, {field.name}) == {field.offset}")
        claims.append(f"sizeof((({type_} *)0)->{field.name}) == {field.size}")
    asserted = "".join(f'_Static_assert({claim}, "{claim}");\n' for claim in claims)
    assert compile_alone(HEADERS[hook.platform] + asserted)


@every_hook
def test_fields_live_in_the_host_context(hook: HookPoint) -> None:
    head, size = ctypes.sizeof(HostContext), ctypes.sizeof(hook.host)
    assert issubclass(hook.host, HostContext)
    for field in hook.context.fields:
        assert 0 <= field.offset < field.offset + field.size <= hook.context.size
        assert head <= field.host_offset < field.host_offset + field.host_size <= size
        if field.kind is FieldKind.SCALAR:
            assert field.host_size == field.size
        else:
            assert (field.host_size, field.reads, field.writes) == (8, (), ())
    for one, other in combinations(hook.context.fields, 2):
        apart = one.offset + one.size <= other.offset or other.offset + other.size <= one.offset
        assert apart or one.host_offset == other.host_offset, (one.name, other.name)


@every_hook
def test_what_is_named_is_there(hook: HookPoint) -> None:
    names = {field.name for field in hook.context.fields}
    assert hook.defaults.keys() <= names
    assert not names & {*hook.helper_inputs, *hook.helper_outputs}
    assert all(hasattr(hook.host, name) for name in (*hook.helper_inputs, *hook.helper_outputs))
    assert all(hasattr(hook.host, f"{name}_size") for name in hook.helper_outputs)
    assert hook.families <= {prototype.family for prototype in PROTOTYPES.values()}
    assert all(isinstance(answer, type(hook.otherwise)) for answer in hook.verdicts.values())
    assert all(hook.number(answer) in hook.verdicts for answer in hook.verdicts.values())
    assert hook.judges_frames is isinstance(hook.otherwise, Verdict) is (hook.name == "xdp")


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_sections_lead_to_one_hook(platform: object) -> None:
    assert {hook.platform for hook in platform.hooks} == {platform.name}
    sections = [section for hook in platform.hooks for section in hook.sections]
    assert len(set(sections)) == len(sections)
    for hook in platform.hooks:
        assert all(platform.hook_for_section(section.removesuffix("/")) in (hook, None) for section in hook.sections)
        assert platform.hook_for_section(hook.name) is hook
    assert len({(hook.program_type, hook.attach_type) for hook in platform.hooks if hook.attach_type}) == sum(
        bool(hook.attach_type) for hook in platform.hooks
    )


def test_every_family_has_numbers_of_its_own_hooks() -> None:
    for platform in PLATFORMS.values():
        for family, helpers in platform.family_helpers.items():
            assert any(family in hook.families for hook in platform.hooks)
            assert helpers.keys().isdisjoint(platform.helpers)


def test_accesses_to_a_field() -> None:
    field = ContextField("field", 8, 8, 0, 8, reads=(1, 4), writes=(4,))
    assert [field.may_read(offset, size) for offset, size in ((8, 1), (15, 1), (8, 2), (12, 4), (10, 4))] == [
        True, True, False, True, False,
    ]  # fmt: skip
    assert [field.may_write(offset, size) for offset, size in ((8, 4), (12, 4), (10, 4), (8, 8))] == [
        True, True, False, False,
    ]  # fmt: skip
    anything = ContextField("anything", 8, 8, 0, 8)
    assert anything.may_read(9, 2)
    assert not anything.may_write(8, 8)
