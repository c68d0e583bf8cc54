"""Write down what the cases' rejections say of their steps today: `python -m tests.appliance.verifier.steps`. Read the
difference, then keep it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.ebpf.platform import PLATFORMS
from appliance.verifier import Rejected, Verifier
from tests.appliance.verifier.support import CASES, EVERY_MAP, Case, load_file


def steps_of(case: Case) -> list[str]:
    """The steps of a bad case's rejection."""
    try:
        Verifier(EVERY_MAP, PLATFORMS[case.platform]).verify(case.spec())
    except Rejected as rejected:
        return [str(step) for step in rejected.report.steps]
    return []


def rewritten(path: Path) -> Iterator[str]:
    """The lines of a file, with the steps as they are now behind the slots."""
    cases = {case.name: case for case in load_file(path)}
    case: Case | None = None
    inside = False
    for line in path.read_text().splitlines():
        inside = line == "  steps:" or (inside and line.startswith("    - "))
        if inside:
            continue
        yield line
        if line.startswith("- name:"):
            case = cases[line.removeprefix("- name:").strip().strip("'\"").replace("''", "'")]
        if line.startswith("  slot:") and case is not None and (steps := steps_of(case)):
            yield "  steps:"
            yield from (f"    - '{step.replace(chr(39), chr(39) * 2)}'" for step in steps)


def main() -> None:
    for path in sorted(CASES.glob("*.yaml")):
        path.write_text("\n".join(rewritten(path)) + "\n")


if __name__ == "__main__":
    main()
