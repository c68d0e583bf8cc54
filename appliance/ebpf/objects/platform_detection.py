"""Which platform a file is for, if nobody says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.platform import LINUX, PLATFORMS, Platform


def detect_platform(sections: Iterable[str], btf: Btf | None) -> Platform:
    """The platform whose contexts the file's types name and lay out, or else whose hooks the `sections` with programs
    name; Linux if undecided. (`struct bpf_sock_addr` is the context's name on Linux, and on Windows that of what its
    type stands for.)
    """
    known = {hook.context.name for platform in PLATFORMS.values() for hook in platform.hooks}
    sizes = dict(_sizes(btf, known)) if btf is not None else {}
    named_sections = tuple(sections)

    def evidence(platform: Platform) -> tuple[int, int, int, bool]:
        hooks = [hook for hook in map(platform.hook_for_section, named_sections) if hook is not None]
        named = [hook.context for hook in hooks if hook.context.name in sizes]
        as_laid_out = sum(sizes[context.name] == context.size for context in named)
        return len(named), as_laid_out, len(hooks), platform is LINUX

    return max(PLATFORMS.values(), key=evidence)


def _sizes(btf: Btf, names: set[str]) -> Iterator[tuple[str, int]]:
    """Each of the names that a type has, with the type's size in bytes; 0 if it has none of its own."""
    for number, found in enumerate(btf.types):
        if found.name in names:
            yield found.name, btf.resolve(number).size
