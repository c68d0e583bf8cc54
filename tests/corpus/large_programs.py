"""Large programs, as the datapath of a network of containers has them: thousands of instructions, joined by tail calls.

large/*.h                        what they share
large/programs/NAME.bpf.c        the source; BAD changes one line
large/objects/NAME.good.bpf.o    what clang -O2 -mcpu=v1 makes of it, twice (see large/Makefile)
large/objects/NAME.bad.bpf.o
large/rejections.yaml            what is to be said of each program that the line changes: `python -m tests.corpus`
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import CollectionSpec
from appliance.verifier import Rejected, Verifier
from tests.yaml_files import load

HOME = Path(__file__).parent / "large"
OBJECTS = HOME / "objects"
REJECTIONS = HOME / "rejections.yaml"
NAMES = sorted(path.name.removesuffix(".bpf.c") for path in (HOME / "programs").glob("*.bpf.c"))


@cache
def loaded(name: str, side: str, folder: Path = OBJECTS) -> CollectionSpec:
    """The good or the bad object of a pair. Its sections have names of their own, as iproute2 takes any."""
    hook = LINUX.hook_for_section("xdp" if name.startswith("xdp_") else "tc")
    return load_object_file(folder / f"{name}.{side}.bpf.o", platform=LINUX, unclaimed=hook)


def verdict(name: str, side: str, program: str, folder: Path = OBJECTS) -> dict[str, object] | None:
    """None for an accepted program, else the demand and the line that it is about."""
    collection = loaded(name, side, folder)
    try:
        Verifier(collection.maps).verify(collection.programs[program])
    except Rejected as rejected:
        report = rejected.report
        return {"demand": report.demand, "line": report.source.line if report.source is not None else 0}
    return None


def changed(name: str, folder: Path = OBJECTS) -> list[str]:
    """The programs of a pair that are not the same in both objects."""
    good, bad = (loaded(name, side, folder).programs for side in ("good", "bad"))
    return [program for program in good if good[program].instructions != bad[program].instructions]


def rejections() -> dict[str, dict[str, dict[str, object]]]:
    """What rejections.yaml says, by the names of pairs and programs."""
    said: dict[str, dict[str, dict[str, object]]] = load(REJECTIONS)
    return said


def build(folder: Path, optimize: str = "-O2", cpu: str = "v1") -> Path:
    """Every object, compiled anew into `folder`."""
    flags = (f"OUT={folder}", f"OPTIMIZE={optimize}", f"CPU={cpu}")
    subprocess.run(["make", "-s", "-j2", "-C", str(HOME), *flags], check=True)
    return folder
