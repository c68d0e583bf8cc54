"""The execution cases of tests/cases/execution (its README says what the keys mean), for every engine to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec, ProgramSpec
from hooks.contracts.xdp import XDP_LINUX
from tests.yaml_files import load

FOLDER = Path(__file__).parent / "cases" / "execution"
_KEYS = {"name", "code", "result", "memory", "memory_after", "packet", "packet_after", "context", "fault", "kernel"}
_KEYS |= {"programs", "maps"}
ARRAY = "programs"  # the array of programs that tail calls go through
SELF = 3  # the case's own place in it


@dataclass(frozen=True, slots=True)
class ExecutionCase:
    """One program and what it must do. Exactly one of `result` and `fault` is set."""

    name: str
    code: str
    result: int | None = None
    fault: str | None = None
    memory: bytes = b""
    memory_after: bytes | None = None
    packet: bytes | None = None
    packet_after: bytes | None = None
    context: dict[str, int] = field(default_factory=dict)
    kernel: bool = True
    programs: dict[str, str] = field(default_factory=dict)
    maps: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return assemble(self.code, source=self.name)

    @property
    def program(self) -> ProgramSpec:
        return ProgramSpec("case", "xdp", XDP_LINUX, self.instructions)

    @property
    def other_programs(self) -> dict[str, ProgramSpec]:
        """What tail calls lead to, by name: itself, and those that the case gives."""
        others = {name: assemble(code, source=name) for name, code in self.programs.items()}
        specs = {name: ProgramSpec(name, "xdp", XDP_LINUX, instructions) for name, instructions in others.items()}
        return {"case": self.program, **specs}

    @property
    def map_specs(self) -> dict[str, MapSpec]:
        """The maps that the case gives, and the array of its programs, if there are any."""
        specs = {name: MapSpec(name, MapType(kind), *sizes) for name, (kind, *sizes) in self.maps.items()}
        if self.programs:
            values = (*enumerate(self.programs), (SELF, "case"))
            specs[ARRAY] = MapSpec(ARRAY, MapType.PROG_ARRAY, 4, 4, SELF + 1, values=values)
        return specs


def load_cases() -> list[ExecutionCase]:
    """Every case of every file; the names are unique and start with the file's."""
    cases = [case for path in sorted(FOLDER.glob("*.yaml")) for case in _of_file(path)]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    return cases


def _of_file(path: Path) -> Iterator[ExecutionCase]:
    for entry in load(path):
        columns, rows = entry.pop("columns", []), entry.pop("rows", [[]])
        assert set(entry) <= _KEYS, f"{path.name}: unknown keys {set(entry) - _KEYS}"
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            suffix = f"[{', '.join(str(value) for value in row[:-1])}]" if row else ""
            yield _case(f"{path.stem}: {entry['name']}{suffix}", entry, values)


def _case(name: str, entry: dict[str, Any], values: dict[str, Any]) -> ExecutionCase:
    fields = entry | {key: values[key] for key in ("result", "fault") if key in values}
    assert ("result" in fields) is not ("fault" in fields), name
    code = fields["code"].format_map(values) if values else fields["code"]
    hexadecimal = {
        key: bytes.fromhex(str(fields[key]))
        for key in ("memory", "memory_after", "packet", "packet_after")
        if key in fields
    }
    return ExecutionCase(**(fields | hexadecimal | {"name": name, "code": code}))
