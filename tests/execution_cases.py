"""The execution cases of tests/cases/execution (its README says what the keys mean), for every engine to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from appliance.ebpf.assembler import assemble
from appliance.ebpf.instructions import Instruction
from appliance.ebpf.spec import ProgramSpec
from hooks.xdp import XDP_LINUX

FOLDER = Path(__file__).parent / "cases" / "execution"
_KEYS = {"name", "code", "result", "memory", "memory_after", "packet", "packet_after", "context", "fault", "kernel"}


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

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return assemble(self.code, source=self.name)

    @property
    def program(self) -> ProgramSpec:
        return ProgramSpec("case", "xdp", XDP_LINUX, self.instructions)


def load_cases() -> list[ExecutionCase]:
    """Every case of every file; the names are unique and start with the file's."""
    cases = [case for path in sorted(FOLDER.glob("*.yaml")) for case in _of_file(path)]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    return cases


def _of_file(path: Path) -> Iterator[ExecutionCase]:
    for entry in YAML(typ="safe").load(path):
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
