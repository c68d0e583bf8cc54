"""The corpus: C programs in pairs, a good one and a bad one that differ in one line, made of the same source.

programs/NAME.bpf.c          the source; BAD makes it the bad one
objects/NAME.good.bpf.o      what clang -O2 -mcpu=v3 makes of it, twice (see Makefile)
objects/NAME.bad.bpf.o
rejections.yaml              what is to be said of each bad one, and of which line
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.spec import CollectionSpec
from appliance.verifier import Rejected, VerifiedProgram, Verifier
from appliance.verifier.reports.report import Report
from tests.yaml_files import load

HOME = Path(__file__).parent
OBJECTS = HOME / "objects"
REJECTIONS = HOME / "rejections.yaml"
NAMES = sorted(path.name.removesuffix(".bpf.c") for path in (HOME / "programs").glob("*.bpf.c"))


@dataclass(frozen=True)
class Rejection:
    """What is said of a bad program: the demand, the line of the source that it is about, and how it came to that."""

    demand: str
    line: int
    steps: list[str]

    @classmethod
    def of(cls, report: Report) -> Rejection:
        steps = [f"{step.source.line if step.source is not None else 0}: {step.effect}" for step in report.steps]
        return cls(report.demand, report.source.line if report.source is not None else 0, steps)


def rejections() -> dict[str, Rejection]:
    """What rejections.yaml says, by the names of pairs."""
    return {name: Rejection(**said) for name, said in load(REJECTIONS).items()}


def object_of(name: str, side: str, folder: Path = OBJECTS) -> Path:
    """The good or the bad object of a pair."""
    return folder / f"{name}.{side}.bpf.o"


@cache
def loaded(path: Path) -> CollectionSpec:
    return load_object_file(path)


def verify(path: Path) -> VerifiedProgram:
    """The one program of an object. Raises Rejected."""
    collection = loaded(path)
    (program,) = collection.programs.values()
    return Verifier(collection.maps).verify(program)


def verdict(path: Path) -> Report | None:
    """None for an accepted object, else what is said of it."""
    try:
        verify(path)
    except Rejected as rejected:
        return rejected.report
    return None
