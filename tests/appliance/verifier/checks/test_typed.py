"""Programs whose arguments have types of the kernel: pairs of a good and a bad one (tests/cases/typed).

Each is judged by types of our own making, so that any machine can, and by those of the running kernel; which is asked
as well, through libbpf.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.btf.index import index_btf, read_btf_file
from appliance.ebpf.btf.kernel_types import KernelTypes
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.reports.report import Rejected
from appliance.verifier.verifier import Verifier
from tests.appliance.ebpf.compiling import compile_alone
from tests.appliance.verifier.walks import linux_accepts, some_walk, stands, tracepoints
from tests.capabilities import Capability, require, requires
from tests.corpus import kernel
from tests.yaml_files import load

WALKS = 400
ITERATORS = (
    "bpf_link", "bpf_map", "bpf_map_elem", "bpf_prog", "bpf_sk_storage_map", "cgroup", "dmabuf", "ipv6_route",
    "kmem_cache", "ksym", "netlink", "sockmap", "task", "task_file", "task_vma", "tcp", "udp", "unix",
)  # fmt: skip
CASES = Path(__file__).parents[3] / "cases" / "typed"


@dataclass(frozen=True, slots=True)
class Pair:
    """A program that `EITHER` makes a good or a bad one, and what stands behind it in the file; `unasked`: Linux does
    not let it be loaded here."""

    name: str
    section: str
    source: str
    demand: str
    unasked: bool = False
    returns: str = "int"
    behind: str = ""

    def object(self, *, bad: bool) -> bytes:
        ending = "" if self.returns == "void" else "return 0;\n"
        section = self.section if self.section.startswith("EITHER") else f'"{self.section}"'
        body = f"SEC({section}) {self.returns} program(u64 *ctx)\n{{\n{self.source}\n{ending}}}\n{self.behind}"
        flags = ("-DBAD",) if bad else ()
        return compile_alone(f'#include "prefix.h"\n{body}', f"-I{CASES}", "-Wno-everything", *flags)


PAIRS = [Pair(**entry) for entry in load(CASES / "pairs.yaml")]
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
running_kernel = requires("the kernel's types")


@functools.cache
def few_types() -> Btf:
    """The types of kernel.c."""
    return index_btf(compile_alone((CASES / "kernel.c").read_text(), "-Wno-everything"), "kernel.c")


@functools.cache
def all_types() -> Btf:
    """The running kernel's."""
    return read_btf_file()


def demand(pair: Pair, types: Btf, *, bad: bool) -> str | None:
    """What is said of the program; None if it is accepted."""
    spec = load_object(pair.object(bad=bad), "pair.o", target_btf=types)
    assert spec.skipped == ()
    try:
        Verifier(spec.maps).verify(spec.programs["program"])
    except Rejected as rejected:
        return rejected.report.demand
    return None


def empty_refused(pair: Pair, path: Path) -> str | None:
    """What Linux says of a program at the pair's place that does nothing; None if it may stand there.

    Some kernels refuse whatever stands there, before they read an instruction (6.18.44 at the iterators of maps).
    """
    path.write_bytes(replace(pair, source="").object(bad=False))
    said = kernel.refusal(path)
    return None if said is None else f"the kernel refuses it and says: {'; '.join(said.splitlines())}"


def _no_do_exit() -> str | None:
    return None if all_types().function("do_exit") else "the kernel's types have no such function"


@every_pair
def test_good_and_bad_by_a_few_types(pair: Pair) -> None:
    assert demand(pair, few_types(), bad=False) is None
    assert pair.demand in (demand(pair, few_types(), bad=True) or "accepted")


@running_kernel
@every_pair
def test_good_and_bad_by_all_types(pair: Pair) -> None:
    if pair.section.partition("/")[2] == "do_exit":
        require(Capability("a type of do_exit", _no_do_exit))
    assert demand(pair, all_types(), bad=False) is None
    assert pair.demand in (demand(pair, all_types(), bad=True) or "accepted")


@requires("bpf", "the kernel's types")
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not pair.unasked], ids=lambda pair: pair.name)
def test_linux_decides_the_same(pair: Pair, tmp_path: Path) -> None:
    require(Capability(f"an empty program at {pair.section}", lambda: empty_refused(pair, tmp_path / "empty.o")))
    verdicts = []
    for bad in (False, True):
        path = tmp_path / f"{bad}.o"
        path.write_bytes(pair.object(bad=bad))
        verdicts.append(kernel.accepts(path))
    assert verdicts == [True, False]


@requires("bpf", "the kernel's types")
@pytest.mark.parametrize("kind", ["tp_btf", "iter", "iter.s"])
def test_walks_of_chance_end_as_in_linux(kind: str) -> None:
    chance, types = Random(f"walks {kind}"), all_types()
    hook = next(hook for hook in LINUX.typed if hook.name == kind)
    targets = [name for name in ITERATORS if stands(types, hook, name)] if hook.iterates else tracepoints(types)
    require(
        Capability(f"an empty program at some {kind}/…", lambda: None if targets else "the kernel refuses it at each")
    )
    verdicts = Counter[bool]()
    for _ in range(WALKS):
        walk = some_walk(chance, types, hook, chance.choice(targets))
        if walk is None:
            continue
        spec = ProgramSpec("walk", kind, walk.hook, walk.instructions, kernel=KernelTypes(all_types))
        try:
            Verifier({}).verify(spec)
        except Rejected as rejected:
            ours, why = False, str(rejected)
        else:
            ours, why = True, "accepted"
        assert linux_accepts(walk) is ours, why
        verdicts[ours] += 1
    assert min(verdicts[True], verdicts[False]) > WALKS // 5
