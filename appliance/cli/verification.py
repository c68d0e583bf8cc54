"""The programs of one file and the verdict of each, as `tidegate verify` reports it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from appliance.cli.program_types import candidates
from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.platform import PLATFORMS, Platform
from appliance.ebpf.spec import ProgramSpec, SkippedProgram
from appliance.errors import InputRefused
from appliance.verifier import Explanation, Verifier
from appliance.verifier.kernel_only import in_kernel
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Rejected, Report, Unsupported

NO_HOOK = "no hook of this platform claims the section; say what kind of program it is with --type"
ACCEPTED, REJECTED, UNSUPPORTED = "accepted", "rejected", "unsupported"

# Rejections that say nothing of the kind of program: as another one it would be refused for the same, as slowly.
OF_EVERY_KIND = frozenset({Rejection.BUDGET, Rejection.NOT_LINKED, Rejection.NO_RETURN, Rejection.TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Row:
    """One program's verdict; the fields are those of `--json`. `line` is the source line, as text; `report` is what
    `reason` says, in fields."""

    file: str
    section: str
    program: str
    type: str
    instructions: int
    verdict: str
    reason: str
    line: str
    milliseconds: float
    report: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """A program's row; why it was rejected, if it was; its explanation, if one was asked for."""

    row: Row
    rejected: Rejected | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What is looked at, and as what: options of the command, None where they are not given."""

    section: str | None = None
    name: str | None = None
    type_name: str | None = None
    platform: Platform | None = None
    target: Btf | None = None
    explained: bool = False

    def selects(self, program: ProgramSpec | SkippedProgram) -> bool:
        return self.section in (None, program.section) and self.name in (None, program.name)


class ObjectFile:
    """One file whose programs are to be verified. Raises InputRefused if it has none that is wanted. For one thread."""

    def __init__(self, path: Path, wanted: Selection) -> None:
        self._path = path
        self._wanted = wanted
        spec = load_object_file(path, wanted.platform, wanted.target)
        platform = PLATFORMS[spec.platform]
        self._untold = {missing.name for missing in spec.skipped if not missing.reason}
        self._tried = candidates(platform, wanted.type_name)
        if wanted.type_name is not None and not self._tried:
            what = f"no program of platform {platform.name} is of the type {wanted.type_name}"
            raise InputRefused(what, where=str(path), hint="leave out --type, or say --platform linux")
        if self._untold and self._tried:
            spec = load_object_file(path, platform, wanted.target, self._tried[0])
        self._spec = spec
        there: tuple[ProgramSpec | SkippedProgram, ...] = (*spec.programs.values(), *spec.skipped)
        self.programs = tuple(program for program in there if wanted.selects(program))
        if not self.programs:
            raise self._nothing_wanted(there)

    def _nothing_wanted(self, there: Sequence[ProgramSpec | SkippedProgram]) -> InputRefused:
        known = ", ".join(f"{program.name} in {program.section}" for program in there)
        return InputRefused("no such program", where=str(self._path), hint=f"it holds: {known}")

    def verify(self, program: ProgramSpec | SkippedProgram) -> Verification:
        """The verdict on one of its programs."""
        if isinstance(program, SkippedProgram):
            return Verification(self._skipped(program))
        if program.name in self._untold:
            return self._verify_as_any(program)
        return self._verify(program)

    def planned(self) -> Iterator[Row]:
        """The rows to come, with what is known of them before: kinds and verdicts are the longest there may be."""
        for program in self.programs:
            if isinstance(program, SkippedProgram):
                yield self._skipped(program)
                continue
            tried = self._tried if program.name in self._untold else [program.hook]
            kind = max((hook.name for hook in tried), key=len)
            count = len(program.instructions)
            yield Row(str(self._path), program.section, program.name, kind, count, UNSUPPORTED, "", "", 0.0)

    def _skipped(self, missing: SkippedProgram) -> Row:
        reason = f"a program of this kind can't be verified: {missing.reason}" if missing.reason else NO_HOOK
        return Row(str(self._path), missing.section, missing.name, "", 0, UNSUPPORTED, reason, "", 0.0)

    def _verify_as_any(self, program: ProgramSpec) -> Verification:
        """The first verdict that accepts the program, as one of those kinds; or else the first of all."""
        tried: list[Verification] = []
        for hook in self._tried:
            tried.append(self._verify(replace(program, hook=hook)))
            if tried[-1].row.verdict == ACCEPTED or _refused_as_any(tried[-1]):
                break
        chosen = tried[-1] if tried[-1].row.verdict == ACCEPTED else tried[0]
        together = round(sum(verified.row.milliseconds for verified in tried), 3)
        return replace(chosen, row=replace(chosen.row, milliseconds=together))

    def _verify(self, program: ProgramSpec) -> Verification:
        began = time.perf_counter()
        rejected, explanation = self._proved(program)
        verdict, reason, line, report = ACCEPTED, "", "", None
        kernels = in_kernel(program, rejected) if rejected is not None else None
        if rejected is not None and kernels is not None:
            reason = f"only a kernel can run it: it {rejected.report.demand}"
            rejected, explanation = self._proved(kernels)
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        if rejected is not None:
            verdict = UNSUPPORTED if isinstance(rejected, Unsupported) else REJECTED
            reason, line = str(rejected), str(rejected.report.source or "")
            report = _fields(rejected.report)
        count = len(program.instructions)
        path, hook = str(self._path), program.hook.name
        row = Row(path, program.section, program.name, hook, count, verdict, reason, line, milliseconds, report)
        return Verification(row, rejected, explanation)

    def _proved(self, program: ProgramSpec) -> tuple[Rejected | None, Explanation | None]:
        """Why there is no proof, None if there is one; and what was seen on the way, if that is wanted."""
        verifier = Verifier(self._spec.maps, PLATFORMS[self._spec.platform])
        if self._wanted.explained:
            explanation = verifier.explain(program)
            return explanation.rejected, explanation
        try:
            verifier.verify(program)
        except Rejected as refused:
            return refused, None
        return None, None


def _refused_as_any(verified: Verification) -> bool:
    return verified.rejected is not None and verified.rejected.report.kind in OF_EVERY_KIND


def _fields(report: Report) -> dict[str, object]:
    """The report for `--json`. The whole way is left out: it may be millions of instructions long."""
    return {
        "demand": report.demand,
        "instruction": report.index,
        "slot": report.slot,
        "text": report.text,
        "source": asdict(report.source) if report.source is not None else None,
        "known": dict(report.known),
        "path": [asdict(step) for step in report.steps],
        "hint": report.hint,
        "kind": report.kind.value,
        "documentation": report.kind.page,
    }
