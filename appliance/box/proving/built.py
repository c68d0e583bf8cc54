"""What a prover answers: machine code, what it was made of, and what was proved. Data, believed by nobody as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Image:
    """Relocatable machine code (an ELF object), as LLVM wrote it.

    `exports` are the functions that others call; `symbols` the memory and functions that it names and whoever links it
    must know: `memory.MAP`, or an export of another image of the same load. Other names are the C library's.
    """

    name: str
    data: bytes = field(repr=False)
    exports: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProvedProgram:
    """One program: `bytecode` is the SHA-256 of its instructions as they are encoded, `facts` that of all that was
    proved of it, in hex. `helpers` are those that it calls, and `tail_call_maps` the arrays of programs that it calls
    by. `body` is the function that tail calls reach. `seconds` is how long the proof took."""

    name: str
    hook: str
    bytecode: str
    facts: str
    instructions: int
    helpers: tuple[str, ...]
    tail_call_maps: tuple[str, ...]
    body: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Built:
    """All of one load. `prototypes` are the SHA-256 of the tables that the proofs relied upon (`hook.NAME`, `helpers`,
    `map.NAME`), `versions` what made them (`tidegate`, `llvm`, `python`), `processor` the one that the code is for
    (LLVM's name and features). The first image is the programs' and the loop's, the others the operations that it
    calls."""

    platform: str
    programs: tuple[ProvedProgram, ...]
    images: tuple[Image, ...]
    prototypes: Mapping[str, str]
    versions: Mapping[str, str]
    processor: str
    verify_seconds: float
    compile_seconds: float
