"""C for CO-RE: programs with the types they believe in, and targets with those that are."""

from __future__ import annotations

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.btf.index import index_btf
from appliance.ebpf.isa.instructions import Immediate, LoadConstant, Move
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import CollectionSpec
from tests.appliance.ebpf.compiling import compile_c

CORE = """
#include <bpf/bpf_core_read.h>
#define P __attribute__((preserve_access_index))
"""


def target(types: str) -> Btf:
    """The types of C source, of which clang keeps those that a variable has."""
    return index_btf(compile_c(f'{types} SEC("xdp") int p(void *ctx) {{ return 0; }}'), "target.o")


def asking(types: str, *questions: str) -> bytes:
    """An object whose program `p` stores each question's answer into `answers`, in their order."""
    body = "".join(f"answers[{number}] = {question};" for number, question in enumerate(questions))
    return compile_c(
        f"{CORE}{types} volatile __u64 answers[{len(questions)}];"
        f'SEC("xdp") int p(struct xdp_md *ctx) {{ {body} return 0; }}'
    )


def load(data: bytes, types: Btf | None) -> CollectionSpec:
    return load_object(data, "x.o", target_btf=types)


def answers(data: bytes, types: Btf | None) -> list[int]:
    """The constants of the program in their order, without the 0 that it returns."""
    found = []
    for instruction in load(data, types).programs["p"].instructions:
        match instruction:
            case LoadConstant(_, value):
                found.append(value)
            case Move(_, _, Immediate(value)):
                found.append(value)
    return found[:-1]


def refused(data: bytes, types: Btf | None) -> str:
    """What is wrong with the file, or with its program."""
    try:
        fault = load(data, types).programs["p"].fault
    except ObjectError as error:
        return str(error).removeprefix("x.o: ")
    assert fault is not None, "it loads"
    return str(fault)
