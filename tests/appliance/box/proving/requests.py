"""What provers are asked in tests."""

from __future__ import annotations

from pathlib import Path

from appliance.box.proving.request import BuildRequest, CalledObject, ObjectFile
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code.compile import INWARD_PROGRAM, OUTWARD_PROGRAM

PROGRAMS = Path(__file__).parents[4] / "programs"
RULES = """\
stages: [{id: last, object: OBJECT, program: xdp_sample, at: after-rules, direction: in}]
rules:
  - {id: nine, match: {udp.dport: 9}, action: drop}
  - {id: slow, match: {ip.proto: udp}, rate: {pps: 5, per: ip.src}, action: drop}
"""


def of_program(name: str, workers: int = 1) -> BuildRequest:
    """One of our programs in C, called like its file."""
    return BuildRequest(ObjectFile(f"{name}.o", (PROGRAMS / f"{name}.bpf.o").read_bytes()), name, None, workers)


def of_rules(folder: Path) -> BuildRequest:
    """A rule set that calls an object."""
    called = PROGRAMS / "xdp_sample.bpf.o"
    path = folder / "rules.yaml"
    path.write_text(RULES.replace("OBJECT", str(called)))
    rules = compile_rule_set(load_rule_set(path))
    objects = tuple(
        CalledObject(number, stage.program, ObjectFile(str(called), called.read_bytes()), stage.where)
        for number, stage in rules.called.items()
    )
    return BuildRequest(ObjectFile("rules.yaml", rules.object), INWARD_PROGRAM, OUTWARD_PROGRAM, 2, objects)
