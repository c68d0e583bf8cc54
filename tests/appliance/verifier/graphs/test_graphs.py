"""What explanations look like: a listing and a graph of one small program, and what must hold of any."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.ebpf.isa.instructions import Jump
from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.platform import LINUX, PLATFORMS
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import SourceLine
from appliance.verifier import Explanation, Rejected, VerifiedProgram, Verifier
from appliance.verifier.graphs import draw, lines
from appliance.verifier.graphs.layout import functions
from tests.appliance.verifier.support import EVERY_MAP, Case, load_cases, program

ROOT = Path(__file__).parents[4]
PICTURES = Path(__file__).parent / "golden"
CASES = load_cases()
INSTRUCTION = re.compile(r"(-->|   ) *\d+: ")

SMALL = """
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r0 = *(u8 *)(r2 + 12)
    r5 = *(u16 *)(r2 + 13)
    *(u64 *)(r10 - 8) = r0
    r0 = *(u64 *)(r10 - 8)
    exit
out:
    r0 = 1
    exit
    r0 = 2
    exit
"""
SOURCE = {0: 'data = "quoted\\\\"', 4: "if (data + 14 > end)", 5: "first = data[12]", 6: "second = *(data + 13)"}


def explain(spec: ProgramSpec) -> Explanation:
    return Verifier(EVERY_MAP, LINUX).explain(spec)


@functools.cache
def explained(case: Case) -> Explanation:
    return Verifier(EVERY_MAP, PLATFORMS[case.platform]).explain(case.spec())


def small() -> ProgramSpec:
    spec = program(SMALL, "small")
    quoted = {index: SourceLine("small.c", 3 + index, 5, text) for index, text in SOURCE.items()}
    return ProgramSpec(spec.name, spec.section, spec.hook, spec.instructions, quoted)


def listing(spec: ProgramSpec) -> str:
    return "\n".join(lines(explain(spec))) + "\n"


def dot_takes(graph: str) -> str:
    """What Graphviz understands by it."""
    done = subprocess.run(["dot", "-Tplain"], input=graph, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_the_listing_of_a_small_program() -> None:
    assert listing(small()) == (PICTURES / "small.txt").read_text()


def test_the_graph_of_a_small_program() -> None:
    assert draw(explain(small())) + "\n" == (PICTURES / "small.dot").read_text()
    dot_takes((PICTURES / "small.dot").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_graphs(case: Case) -> None:
    """Each instruction stands in them once, and the failing one is marked; the verdict is that of `verify`."""
    explanation = explained(case)
    spec = explanation.spec
    text = list(lines(explanation))
    assert len([line for line in text if INSTRUCTION.match(line)]) == len(spec.instructions)
    nodes = [block for function in functions(explanation) for block in function.blocks]
    assert sum(block.end - block.start for block in nodes) == len(spec.instructions)
    graph = draw(explanation)
    assert len(re.findall(r"^    slot_\d+ \[label=", graph, re.MULTILINE)) == len(nodes)
    marks = sum(line.startswith("-->") for line in text)
    if case.rejects is None:
        assert isinstance(explanation.verdict, VerifiedProgram)
        assert (marks, "mistyrose" in graph) == (0, False)
        assert explanation.verdict.facts == Verifier(EVERY_MAP, PLATFORMS[case.platform]).verify(spec).facts
    else:
        assert isinstance(explanation.verdict, Rejected)
        assert explanation.verdict.report.demand == case.rejects
        assert explanation.complaint in text
        assert explanation.complaint.endswith(f"ed: {case.rejects}")


def test_graphviz_takes_every_graph() -> None:
    """All graphs in one file, so that Graphviz starts once."""
    graphs = [draw(explained(case)) for case in CASES]
    assert dot_takes("\n".join(graphs)).count("stop") >= len(graphs)


def test_functions_are_clusters_and_calls_are_dashed() -> None:
    graph = draw(explain(program("call twice\nexit\ntwice:\nr0 = 2\nexit")))
    assert graph.count("subgraph cluster_") == 2
    assert 'slot_0 -> slot_2 [label="calls", style="dashed"];' in graph


def test_code_that_nothing_leads_to_is_grey() -> None:
    spec = program("r0 = 1\nif r0 == 1 goto out\nr0 = 7\nout:\nexit\nr0 = 2\nexit")
    graph = draw(explain(spec))
    assert [
        name for name in ("slot_0", "slot_2", "slot_3", "slot_4") if re.search(rf"^    {name} .*grey", graph, re.M)
    ] == [
        "slot_2",
        "slot_4",
    ]
    assert "block at slot 2, from 0: never reached" in listing(spec)
    assert "block at slot 4: nothing leads here" in listing(spec)


def test_a_few_states_are_shown_by_themselves_and_many_as_their_join() -> None:
    few = listing(program(BRANCHING.format(iterations=2)))
    assert "state 2: r1: 1; r2: 2" in few
    many = listing(program(BRANCHING.format(iterations=90)))
    assert re.search(r"r1: 0 to \d+", many)
    assert len(many) < 4 * len(few), "a loop's iterations do not make it longer"


BRANCHING = """
    r1 = 0
    r2 = {iterations}
again:
    r1 += 1
    if r1 < r2 goto again
    r0 = 2
    exit
"""


def test_what_is_gone_is_said() -> None:
    text = listing(program("r2 = 0\nr6 = r1\ncall xdp_adjust_head\nr0 = 2\nexit"))
    assert "no more: r1; r2" in text


def test_a_jump_out_of_the_program_is_listed() -> None:
    spec = program("goto out\nout:\nr0 = 1\nexit")
    torn = replace(spec, instructions=(Jump(9), *spec.instructions[1:]))
    assert "-->     0: goto instruction 9 of 3\nrejected: jumps out of the program\n" in listing(torn)
    dot_takes(draw(explain(torn)))


def test_a_program_without_instructions() -> None:
    empty = replace(program("exit"), instructions=())
    assert "rejected: has no instructions\n" in listing(empty)
    dot_takes(draw(explain(empty)))


def test_every_program_of_ours_is_shown_within_bounds() -> None:
    for path in sorted((ROOT / "programs").glob("*.bpf.o")):
        collection = load_object_file(path)
        for spec in collection.programs.values():
            explanation = Verifier(collection.maps, PLATFORMS[collection.platform]).explain(spec)
            said = list(lines(explanation))
            assert len(said) < 12 * len(spec.instructions) + 10
            dot_takes(draw(explanation))
