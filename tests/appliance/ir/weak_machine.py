"""Code for a machine that orders loads and stores only where it is told: 64-bit Arm, in text."""

from __future__ import annotations

import re

from llvmlite import binding as llvm
from llvmlite import ir

TRIPLE = "aarch64-unknown-linux-gnu"


def assembly_for_arm(module: ir.Module | str) -> dict[str, list[str]]:
    """The instructions of each function by its name, as LLVM writes them for Arm."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(opt=2, features="+outline-atomics,+lse")
    text = re.sub(r'target (triple|datalayout) = ".*"\n|  call void @"llvm.x86.sse2.pause"\(\)\n', "", str(module))
    with llvm.create_context() as context, llvm.parse_assembly(text, context) as native:
        native.triple = TRIPLE
        native.data_layout = str(machine.target_data)
        native.verify()
        lines = machine.emit_assembly(native).splitlines()
    functions: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if found := re.match(r'"?([\w.]+)"?:', line):
            name = name if found[1].startswith((".L", "Lfunc")) else found[1]
        elif line.startswith("\t") and not line.startswith(("\t.", "\t//")):
            functions.setdefault(name, []).append(line.strip())
    return functions
