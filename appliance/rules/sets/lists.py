"""List files read: in blocks of whole lines, so that a list of millions takes the memory of one block.

file ──(gzip?)── blocks of lines ── format ── elements ── Packer
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from appliance.errors import InputRefused, SourceLine
from appliance.rules.sets.contents import Packer
from appliance.rules.sets.formats import PLAIN, Format, plain_elements, recognise
from appliance.rules.values import BadValue

BLOCK = 1 << 20  # bytes that are read at a time; no line may be longer
MOST_TOLD = 20  # mistakes of one file that are told each; the others are only counted
GZIP_MAGIC = b"\x1f\x8b"

Told = Callable[[InputRefused], None]


def read_list(path: Path, packer: Packer, told: Told) -> None:
    """Put the elements of a list file into `packer`. Whatever is wrong is told with its line and what to do; what
    concerns the whole file, with its name."""
    mistakes = _Mistakes(str(path), told)
    for first, text, format_ in _formatted(path, mistakes):
        if format_ is PLAIN:
            elements = plain_elements(text)
        else:
            elements = _each(format_, text.split("\n"), first, mistakes)
        packer.add(elements, mistakes.at(first, text))
    mistakes.finish()


def list_elements(path: Path, told: Told) -> Iterator[tuple[str, SourceLine]]:
    """The elements of a list file with their places, one by one, for lists that are small."""
    mistakes = _Mistakes(str(path), told)
    for first, text, format_ in _formatted(path, mistakes):
        lines = text.split("\n")
        for number, element in enumerate(_each(format_, lines, first, mistakes)):
            if element:
                yield element, mistakes.place(first + number, lines[number])
    mistakes.finish()


class _Mistakes:
    """What is wrong with one file: the first few are told, the rest counted."""

    def __init__(self, file: str, told: Told) -> None:
        self._file = file
        self._told = told
        self._number = 0

    def place(self, line: int, text: str) -> SourceLine:
        return SourceLine(self._file, line, len(text) - len(text.lstrip()) + 1, text.rstrip("\r"))

    def at(self, first: int, text: str) -> Callable[[int, BadValue], None]:
        """Refuses the lines of a block of text that begins with line `first`."""
        return lambda number, bad: self.line(first + number, text.split("\n")[number], bad)

    def line(self, line: int, text: str, bad: BadValue) -> None:
        self._number += 1
        if self._number <= MOST_TOLD:
            self._told(InputRefused(bad.what, where=self.place(line, text), hint=bad.hint))

    def file(self, what: str, hint: str | None = None) -> None:
        self._told(InputRefused(what, where=self._file, hint=hint))

    def finish(self) -> None:
        if self._number > MOST_TOLD:
            what = f"{self._number - MOST_TOLD} more lines of the list are wrong"
            self.file(what, "is this the list that was meant, and of the set's type?")


def _each(format_: Format, lines: list[str], first: int, mistakes: _Mistakes) -> list[str]:
    """The element of each line; "" for one that is none of the format's, which is told."""
    elements = []
    for number, line in enumerate(lines):
        try:
            elements.append(format_.element(line))
        except BadValue as bad:
            mistakes.line(first + number, line, bad)
            elements.append("")
    return elements


def _formatted(path: Path, mistakes: _Mistakes) -> Iterator[tuple[int, str, Format]]:
    """The blocks of a file with the number of their first line, as soon as a line says which format it is."""
    format_ = None
    for first, text in _blocks(path, mistakes):
        format_ = format_ or recognise(text)
        if format_ is not None:
            yield first, text, format_


def _blocks(path: Path, mistakes: _Mistakes) -> Iterator[tuple[int, str]]:
    """Blocks of whole lines, each with the number of its first. What isn't UTF-8, as a name in a comment may be, comes
    as replacement characters."""
    line, rest = 1, b""
    try:
        with _opened(path) as file:
            while data := file.read(BLOCK):
                whole, newline, rest = (rest + data).rpartition(b"\n")
                if newline:
                    yield line, _text(whole, line)
                    line += whole.count(b"\n") + 1
                if len(rest) > BLOCK:
                    mistakes.file(f"line {line} has more than {BLOCK} bytes", "is this a list?")
                    return
            if rest:
                yield line, _text(rest, line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        mistakes.file(f"the gzip file is damaged: {error}", "fetch it again")
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        mistakes.file(f"can't read the file: {reason}")


def _text(data: bytes, line: int) -> str:
    return data.decode("utf-8-sig" if line == 1 else "utf-8", errors="replace")


def _opened(path: Path) -> IO[bytes]:
    """The file, unpacked if it is gzip's. Raises OSError or ValueError."""
    file = path.open("rb")
    try:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return gzip.open(file) if packed else file  # type: ignore[return-value]
