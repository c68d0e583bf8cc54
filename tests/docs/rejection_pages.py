"""The pages of docs/rejections, taken apart: two programs each, and what is said of the first.

Run: python -m tests.docs.rejection_pages     writes into every page what is said today: read the difference
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from appliance.ebpf.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.verifier import Rejected, Verifier
from appliance.verifier.rejections import PAGES, Rejection
from appliance.verifier.report import Report
from tests.appliance.ebpf.compiling import compile_alone
from tests.appliance.verifier.support import MAPS, program

FOLDER = Path(__file__).parents[2] / PAGES
INDEX = FOLDER / "README.md"
# What no program of a few lines shows.
WITHOUT_PROGRAMS = frozenset({Rejection.JUMP_OUTSIDE, Rejection.TOO_LARGE, Rejection.KERNEL_TYPES_MISSING})

_BLOCK = re.compile(r"^```(?P<language>\S+) ?(?P<hook>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A program of a page: C behind what the index says, or assembly for a hook."""

    language: str
    hook: str
    text: str

    def object(self) -> bytes:
        """What clang makes of it."""
        assert self.language == "c"
        named = f'{_beginning()}\n#line 1 "filter.bpf.c"\n{self.text}'
        return compile_alone(named, "-Wno-everything", f"-fdebug-prefix-map={Path.cwd()}=src")

    def load(self) -> tuple[ProgramSpec, dict[str, MapSpec]]:
        """The program, and the maps that it may use."""
        if self.language == "asm":
            hook = LINUX.hook_for_section(self.hook)
            assert hook is not None
            return program(self.text, "filter", hook), MAPS
        collection = load_object(self.object(), "filter.bpf.o")
        (spec,) = collection.programs.values()
        return spec, dict(collection.maps)

    def rejection(self) -> Report | None:
        """What is said of it; None if it is accepted."""
        spec, maps = self.load()
        try:
            Verifier(maps).verify(spec)
        except Rejected as rejected:
            return rejected.report
        return None


@dataclass(frozen=True, slots=True)
class Page:
    kind: Rejection
    text: str
    bad: Example
    message: str
    good: Example


def page(kind: Rejection) -> Page:
    """A page that has programs."""
    text = (FOLDER / f"{kind}.md").read_text()
    bad, message, good = _BLOCK.finditer(text)
    assert message["language"] == "text"
    first, second = (Example(found["language"], found["hook"], found["text"]) for found in (bad, good))
    return Page(kind, text, first, message["text"].rstrip("\n"), second)


def with_programs() -> list[Rejection]:
    return [kind for kind in Rejection if kind not in WITHOUT_PROGRAMS]


def _beginning() -> str:
    """What every program in C begins with."""
    (block,) = _BLOCK.finditer(INDEX.read_text())
    return block["text"]


def main() -> None:
    """Write what is said today into each page."""
    for kind in with_programs():
        found = page(kind)
        report = found.bad.rejection()
        said = str(report) if report is not None else "accepted"
        before = f"```text\n{found.message}\n```"
        (FOLDER / f"{kind}.md").write_text(found.text.replace(before, f"```text\n{said}\n```"))


if __name__ == "__main__":
    main()
