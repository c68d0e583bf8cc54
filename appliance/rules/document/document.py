"""A YAML file as plain data that remembers where every key and every value stood.

path ── read_text ── yaml_nodes.Builder ── Document(data, places)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.errors import InputRefused, SourceLine
from appliance.rules.document.places import KeyPath, Places
from appliance.rules.document.yaml_nodes import Builder, source_line
from appliance.rules.errors import RuleSetRefused

LARGEST_FILE = 64 << 20  # bytes; half a million rules


@dataclass(frozen=True, slots=True)
class Document:
    """One file's data, and where it stands."""

    file: str
    text: str
    data: Any
    places: Places
    lines: list[str] = field(repr=False)

    def place(self, path: KeyPath, *, key: bool = False) -> SourceLine:
        """The place of the value at `path` (of its key, if asked), or of the nearest thing around it."""
        return source_line(self.file, self.lines, self.places.nearest(path, key=key))

    def refuse(self, what: str, path: KeyPath, *, hint: str | None = None, key: bool = False) -> InputRefused:
        """A defect at that path; the caller raises or collects it."""
        return InputRefused(what, where=self.place(path, key=key), hint=hint)


def read_document(path: str | Path) -> Document:
    """Read a YAML file. Raises RuleSetRefused."""
    return parse_document(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """A text file's contents, UTF-8. Raises RuleSetRefused."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise RuleSetRefused([InputRefused(f"can't read the file: {reason}", where=str(path))]) from error
    if len(data) > LARGEST_FILE:
        what = f"the file is larger than {LARGEST_FILE >> 20} MiB"
        raise RuleSetRefused([InputRefused(what, where=str(path), hint="split it into several files")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        where = SourceLine(str(path), line, column)
        refused = InputRefused(f"byte 0x{data[error.start]:02x} isn't UTF-8 text", where=where, hint="save it as UTF-8")
        raise RuleSetRefused([refused]) from error


def parse_document(text: str, file: str) -> Document:
    """Parse YAML text; `file` is only named. Raises RuleSetRefused."""
    builder = Builder(text, file)
    data, places = builder.build()
    return Document(file, text, data, places, builder.lines)
