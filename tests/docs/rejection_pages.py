"""The pages of docs/rejections, taken apart and tried.

    python -m tests.docs.rejection_pages [KIND…]

compiles each page's bad program anew, and writes down what is said of it. Read the difference, then keep it.

Every page has these parts, in this order:

    # TITLE                          one sentence: what is wrong
    ## Why it is demanded
    ## A program that is refused     the program, and below it exactly what Tidegate says
    ## The same program, fixed
    ## Other ways to fix it
    ## What Linux says               the last line of its verifier's log; no such line if it accepts the program
    ## See also
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from appliance.ebpf.btf.index import read_btf_file
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.verifier import Rejected, Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.reports.rejections import PAGES, Rejection
from tests.appliance.verifier.support import MAPS, program
from tests.corpus import kernel

FOLDER = Path(PAGES)
INDEX = FOLDER / "README.md"
BAD, FIXED, LINUX_SAYS = "A program that is refused", "The same program, fixed", "What Linux says"
HEADINGS = ["Why it is demanded", BAD, FIXED, "Other ways to fix it", LINUX_SAYS, "See also"]
BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
FLAGS = ("-w", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-idirafter", "/usr/include/x86_64-linux-gnu")
# Rejections that there are only where nobody knows the kernel's types.
WITHOUT_TYPES = {Rejection.KERNEL_TYPES_MISSING}
# What Linux writes around what it has to say.
BELOW = (";", "processed ", "verification time", "stack depth", "cur state", "old state")


@dataclass(frozen=True, slots=True)
class Page:
    """One page, as text."""

    kind: Rejection
    text: str

    @classmethod
    def of(cls, kind: Rejection) -> Page:
        return cls(kind, Path(kind.page).read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def headings(self) -> list[str]:
        return re.findall(r"^## (.*)$", self.text, re.MULTILINE)

    def part(self, heading: str) -> str:
        """What stands under a heading."""
        _, _, below = self.text.partition(f"\n## {heading}\n")
        return below.partition("\n## ")[0]

    def blocks(self, heading: str, language: str) -> list[str]:
        """The blocks of that language under a heading."""
        return [block for found, block in BLOCK.findall(self.part(heading)) if found == language]

    def source(self, heading: str) -> tuple[str, str]:
        """The language, c or asm, of a program and its text."""
        language, text = BLOCK.findall(self.part(heading))[0]
        return language, text

    @property
    def message(self) -> str:
        return self.blocks(BAD, "text")[0].removesuffix("\n")

    @property
    def linux(self) -> str | None:
        """What Linux says of the bad program; None if it accepts it."""
        said = self.blocks(LINUX_SAYS, "text")
        return said[0].removesuffix("\n") if said else None


def compile_page(page: Page, heading: str, folder: Path) -> Path:
    """The object of a page's program in C."""
    _, text = page.source(heading)
    name = f"{page.kind.value}.bpf.c"
    (folder / name).write_text(text, encoding="utf-8")
    object_ = f"{page.kind.value}.bpf.o"
    flags = (*FLAGS, f"-fdebug-prefix-map={folder}=")
    subprocess.run(["clang", *flags, "-c", name, "-o", object_], cwd=folder, check=True)
    return folder / object_


def judge(page: Page, heading: str, folder: Path) -> Rejected | None:
    """The verdict on a page's program: None for accepted."""
    language, text = page.source(heading)
    if language == "asm":
        spec, maps = program(text), MAPS
    else:
        types = read_btf_file(compile_page(page, FIXED, folder)) if page.kind in WITHOUT_TYPES else None
        collection = load_object(compile_page(page, heading, folder).read_bytes(), page.kind.value, LINUX, types)
        (spec,), maps = collection.programs.values(), dict(collection.maps)
    try:
        Verifier(maps, LINUX, budget=_patient).verify(spec)
    except Rejected as rejected:
        return rejected
    return None


def _patient(instructions: int) -> Budget:
    """A budget of steps alone, which says the same on every machine."""
    budget = Budget.of(instructions)
    budget.seconds = 60
    return budget


def ask_linux(page: Page, heading: str, folder: Path) -> str | None:
    """The last line that Linux says of a page's program; None if it accepts it."""
    refusal = kernel.refusal(compile_page(page, heading, folder))
    if refusal is None:
        return None
    said = [line.strip() for line in refusal.splitlines() if line.strip()]
    return next(line for line in reversed(said) if not line.startswith(BELOW))


def without_numbers(words: str) -> str:
    """What Linux says, but for registers, offsets and sizes, which clang may choose in another way."""
    return re.sub(r"\d+", "N", words)


def index() -> str:
    """The index of all pages, as a table."""
    rows = "".join(f"| [`{kind.value}`]({kind.value}.md) | {Page.of(kind).title} |\n" for kind in Rejection)
    return f"| kind | what is wrong |\n|---|---|\n{rows}"


def rewrite(page: Page, folder: Path) -> str:
    """The page with what is said today."""
    rejected = judge(page, BAD, folder)
    said = str(rejected) if rejected is not None else "ACCEPTED"
    text = page.text.replace(page.part(BAD), _replaced(page.part(BAD), said))
    if page.source(BAD)[0] == "c" and kernel.available():
        linux = ask_linux(page, BAD, folder)
        if linux is not None and page.linux is not None:
            text = text.replace(page.part(LINUX_SAYS), _replaced(page.part(LINUX_SAYS), linux))
    return text


def _replaced(part: str, said: str) -> str:
    """The part of a page with other words in its block of text."""
    return re.sub(r"```text\n.*?```\n", lambda _: f"```text\n{said}\n```\n", part, flags=re.DOTALL)


def main(kinds: list[str]) -> None:
    for kind in [Rejection(kind) for kind in kinds] or list(Rejection):
        with tempfile.TemporaryDirectory() as folder:
            Path(kind.page).write_text(rewrite(Page.of(kind), Path(folder)), encoding="utf-8")
    head, _, _ = INDEX.read_text(encoding="utf-8").partition("| kind |")
    INDEX.write_text(head + index(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
